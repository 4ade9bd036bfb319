# SPDX-License-Identifier: EUPL-1.2

"""Writing the XML of made-up verzoeken, one namespace at a time."""

from dataclasses import dataclass
from typing import Final

from lxml import etree

FAMILY: Final = "http://www.omgevingswet.nl/koppelvlak/"
IMAM: Final = f"{FAMILY}stam-v4/IMAM"
VX: Final = f"{FAMILY}stam-v4/verzoek"
IC: Final = f"{FAMILY}stam-v4/common"
GML: Final = "http://www.opengis.net/gml"


@dataclass(frozen=True, slots=True)
class Writer:
    """Adds elements of one namespace below a parent."""

    parent: etree._Element
    namespace: str

    def leaf(self, name: str, text: str, **attributes: str) -> None:
        """Adds an element with a text."""
        etree.SubElement(self.parent, f"{{{self.namespace}}}{name}", attributes).text = text

    def flag(self, name: str, *, is_set: bool) -> None:
        """Adds an xs:boolean."""
        self.leaf(name, "true" if is_set else "false")

    def node(self, name: str, namespace: str | None = None, **attributes: str) -> "Writer":
        """Adds an element; `namespace` is that of its own children where it differs."""
        element = etree.SubElement(self.parent, f"{{{self.namespace}}}{name}", attributes)
        return Writer(element, namespace or self.namespace)

    def path(self, *names: str) -> "Writer":
        """Adds elements, each in the one before it, and gives the last one."""
        writer = self
        for name in names:
            writer = writer.node(name)
        return writer

    def text(self, name: str, text: str, *, public: bool = True) -> None:
        """Adds a PubliceerbaarText."""
        self.leaf(name, text, publiceerbaar="true" if public else "false")

    def answer(self, name: str, text: str, *, looked_up: str | None = None) -> None:
        """Adds an Antwoord: as the user gave it and, where it was looked up too, as DSO-LV found it."""
        self.leaf(name, text, bron="gebruiker", publiceerbaar="false")
        if looked_up is not None:
            self.leaf(name, looked_up, bron="DSO-LV", publiceerbaar="false")
