# SPDX-License-Identifier: EUPL-1.2

"""Messages made from the schema itself: every element in them, each leaf with a text of its own."""

from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

XS = "{http://www.w3.org/2001/XMLSchema}"
GML = "http://www.opengis.net/gml"
MOMENT = "2023-07-31T10:11:12.123456789"
POINT = f'<pos xmlns="{GML}" srsName="urn:ogc:def:crs:EPSG::4258">52.1 5.2</pos>'
SURFACE = (
    f'<surfaceMember xmlns="{GML}"><Polygon srsName="urn:ogc:def:crs:EPSG::4258"><exterior><LinearRing>'
    "<posList>52 5 52 6 53 6 52 5</posList></LinearRing></exterior></Polygon></surfaceMember>"
)


@dataclass
class Made:
    """A message, and the text of each leaf by its path of local names."""

    xml: bytes
    leaves: list[tuple[str, str]]


@dataclass
class Schema:
    """The schema of STAM 4.0: `alternative` says which branch of each choice is taken."""

    directory: Path
    alternative: int = 0
    types: dict[str, etree._Element] = field(default_factory=dict)
    leaves: list[tuple[str, str]] = field(default_factory=list)

    def message(self) -> Made:
        for name in ("common", "verzoek", "imam"):
            root = etree.parse(self.directory / f"{name}-4.0.xsd").getroot()
            for definition in root:
                if definition.get("name"):
                    definition.set("in", root.get("targetNamespace"))
                    self.types[definition.get("name")] = definition
        envelope = self.types["verzoekXML"]
        root = etree.Element(f"{{{envelope.get('in')}}}verzoekXML", version="4.0.0")
        self._fill(root, envelope.find(f"{XS}complexType/{XS}sequence"), "", envelope.get("in"))
        return Made(etree.tostring(root), self.leaves)

    def _fill(self, parent: etree._Element, group: etree._Element, path: str, namespace: str) -> None:
        for item in group:
            if item.tag == f"{XS}choice":
                branches = list(item)
                self._element(parent, branches[self.alternative % len(branches)], path, namespace)
            elif item.tag == f"{XS}element":
                self._element(parent, item, path, namespace)

    def _element(self, parent: etree._Element, item: etree._Element, path: str, namespace: str) -> None:
        times = 1 if item.get("maxOccurs", "1") == "1" else 2
        for _ in range(times):
            name = item.get("name")
            element = etree.SubElement(parent, f"{{{namespace}}}{name}")
            self._content(element, item.get("type"), f"{path}/{name}")

    def _content(self, element: etree._Element, type_name: str, path: str) -> None:
        prefix, _, name = type_name.partition(":")
        if prefix == "gml":
            element.append(etree.fromstring(POINT if name == "PointType" else SURFACE))
        elif prefix == "xs":
            self._leaf(element, name, path)
        else:
            definition = self.types[name]
            group = definition.find(f"{XS}sequence")
            if group is not None:
                self._fill(element, group, path, definition.get("in"))
            else:
                self._simple(element, definition, path)

    def _simple(self, element: etree._Element, definition: etree._Element, path: str) -> None:
        extension = definition.find(f"{XS}simpleContent/{XS}extension")
        if extension is not None:
            self._content(element, extension.get("base"), path)
            attributes = [each.get("name") for each in extension]
            element.set("publiceerbaar", "false")
            if "bron" in attributes:
                element.set("bron", "gebruiker")
        else:
            values = [each.get("value") for each in definition.iter(f"{XS}enumeration")]
            self._put(element, values[-1], path)

    def _leaf(self, element: etree._Element, type_name: str, path: str) -> None:
        fixed = {"dateTime": MOMENT, "boolean": "true"}
        self._put(element, fixed.get(type_name) or f"text {len(self.leaves)}", path)

    def _put(self, element: etree._Element, text: str, path: str) -> None:
        element.text = text
        self.leaves.append((path, text))
