# SPDX-License-Identifier: EUPL-1.2

"""The type `s3`: what its table in the configuration has, and how a sink is made of it."""

from adapter.config import BucketUrl, Environment, S3Config
from adapter.delivery import Sink, SinkContext, SinkOptions, SinkProblem, SinkType


class S3Options(S3Config, SinkOptions):
    """The options of an s3 sink: `url`, as `s3://bucket/prefix`, and how to get in, as in [store.s3]."""

    url: BucketUrl


def _make(options: S3Options, context: SinkContext) -> Sink:
    # A library with a runtime of its own: only who delivers to an object store waits for it at start.
    from adapter.sinks.bucket import BucketSink  # noqa: PLC0415
    from adapter.sinks.objects import Objects  # noqa: PLC0415
    from adapter.store.buckets import BucketPlace, BucketProblem, open_bucket  # noqa: PLC0415

    if context.environment is not Environment.TEST and (options.endpoint or "").startswith("http://"):
        raise SinkProblem(
            f"endpoint: plain HTTP is not allowed in environment {context.environment}; write https://"
        )
    place = BucketPlace(options.url, "url", "of this sink")
    try:
        objects = Objects(open_bucket(place, options, context.outgoing), place)
    except BucketProblem as problem:
        raise SinkProblem(str(problem)) from problem
    return BucketSink(objects, options.endpoint)


S3: SinkType[S3Options] = SinkType("s3", S3Options, _make)
