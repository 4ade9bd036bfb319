# SPDX-License-Identifier: EUPL-1.2

"""The paths of the pages that others than the status page itself lead to."""

from typing import Final
from urllib.parse import quote

VERZOEK_PATH: Final = "/verzoeken/{authority}/{verzoeknummer}"
CPA_PATH: Final = "/cpas/{cpaId}"
PARKED_PATH: Final = "/parked"
PARTNERS_PATH: Final = "/partners"
LANES_PATH: Final = "/lanes"
HOME_PATH: Final = "/"


def fill_path(path: str, **variables: object) -> str:
    """A path with these values at the places of its variables, each as one segment."""
    for name, value in variables.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path
