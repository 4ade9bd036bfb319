# SPDX-License-Identifier: EUPL-1.2

"""Where certificates of ours and their keys stand: PEM, or one file of PKCS #12 for both."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, model_validator

from adapter.config.values import ConfigPath, Section
from adapter.pki import KeyPair, load_key_pair

_BUNDLES: Final = frozenset({".p12", ".pfx"})


def with_key_of_bundle(table: Any) -> Any:
    """The table of a certificate, with the same file as its key where that is PKCS #12 and no key is named."""
    if not isinstance(table, Mapping) or table.get("key") is not None:
        return table
    certificate = table.get("certificate")
    if not isinstance(certificate, str | Path) or Path(certificate).suffix.lower() not in _BUNDLES:
        return table
    return {**table, "key": certificate}


class KeyFiles(Section):
    """A certificate (with chain) and its key, with the file that has the password of the key."""

    certificate: ConfigPath
    key: ConfigPath
    key_password_file: ConfigPath | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_enough(cls, table: Any) -> Any:
        return with_key_of_bundle(table)

    def load(self, *, strict: bool) -> KeyPair:
        """Read the pair; `strict` refuses a key that others than its owner may use. Blocking. Raises KeyProblem."""
        return load_key_pair(
            self.certificate,
            self.key,
            password_file=self.key_password_file,
            strict_permissions=strict,
        )

    @property
    def secrets(self) -> tuple[Path, ...]:
        """The files that nobody else may read."""
        return tuple(path for path in (self.key, self.key_password_file) if path is not None)


def _moment(value: object) -> object:
    """A date without time is its first moment, in UTC as all moments are."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


class SpareKeyFiles(KeyFiles):
    """``[[authorities.<name>.spare_keys]]``: a further certificate of an authority, which takes the place of its first
    one at a moment where `from` gives one.
    """

    model_config = ConfigDict(populate_by_name=True)

    start: Annotated[AwareDatetime | None, BeforeValidator(_moment), Field(alias="from")] = None


class OtherKeyFiles(Section):
    """A table that may name a certificate and key of its own, in place of those of the authority."""

    certificate: ConfigPath | None = None
    key: ConfigPath | None = None
    key_password_file: ConfigPath | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_file_is_enough(cls, table: Any) -> Any:
        return with_key_of_bundle(table)

    @property
    def own_keys(self) -> KeyFiles | None:
        """The files, where there are any."""
        if self.certificate is None or self.key is None:
            return None
        return KeyFiles(certificate=self.certificate, key=self.key, key_password_file=self.key_password_file)
