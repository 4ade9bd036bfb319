# SPDX-License-Identifier: EUPL-1.2

"""The options that sinks are made of: the model to derive from, and the keys that every type has."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adapter.config import Duration


class SinkOptions(BaseModel):
    """The keys of one type of sink; derive from this. A key that is not in the model is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BreakerOptions(SinkOptions):
    """`breaker`: after so many failures in a row the sink is left in peace, first for `rest`, each time twice as long,
    at most for `longest`.
    """

    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    rest: Duration = timedelta(seconds=30)
    longest: Duration = timedelta(minutes=10)

    @model_validator(mode="after")
    def _in_order(self) -> "BreakerOptions":
        if self.rest > self.longest:
            raise ValueError("rest is longer than longest; make it shorter")
        return self


class CommonOptions(SinkOptions):
    """The keys that the table of every sink may have.

    `concurrency` is how many deliveries it is given at a time, by one process; `timeout` how long one attempt may take
    (None: as `[limits] delivery_time` says).
    """

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 4
    timeout: Duration | None = None
    breaker: BreakerOptions = BreakerOptions()
