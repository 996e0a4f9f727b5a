"""Above one server: what an administrator sees, checks and tidies in whole SageMaker domains.

Installed with the extra ``[sagemaker]`` (boto3 and nothing else), and never loaded by a server.

These modules are pure (no I/O, no clock): facts -> findings and actions.

- :mod:`.facts` ``Facts``: what one reading of the account found; ``None`` is unknown.
- :mod:`.policy` ``parse(json) -> DomainPolicy``: the administrator's policy file.
- :mod:`.findings` ``examine(facts, policy) -> tuple[Finding, ...]``: for ``domain check``.
- :mod:`.actions` ``plan(facts, policy, memory) -> Plan``: for ``domain tidy``.
- :mod:`.memory` ``Memory``: the notices that runs hand on, with ``to_json`` and ``from_json``.
- :mod:`.costs`, :mod:`.report` ``build(facts, policy) -> dict``: the report as JSON;
  :mod:`.page` ``html(report) -> str``: the same as one page.
- :mod:`.report_lines`: the servers' report lines, parsed.

Around it is the I/O, every call of it paced:

- :mod:`.pace` ``Aws(region, session, pace)``: calls of one region; ``Pace(until=monotonic)`` ends a
  run in time (``OutOfTimeError``).
- :mod:`.reader` ``Reader(aws, scope, now).read() -> Facts``; ``aws`` is a function from a region's
  name to its ``Aws``. :mod:`.evidence` and :mod:`.surroundings` are parts of it.
- :mod:`.tidy` ``Tidy(reader, policy, store, audit, notifier, aws, now).run(dry_run) -> Run``.
- :mod:`.stores` ``StateStore`` (``load() -> (Memory, version)``, ``save(memory, version) ->
  version`` or ConflictError) and ``AuditLog`` (``write(entry)``, durable when it returns): files
  here; the scheduled function brings its own. :mod:`.notices` ``Notifier`` and ``AwsNotifier``.
- :mod:`.teardown`: removes a whole domain.

The scheduled function builds the same objects as :mod:`auto_shutdown.cli.domain` does, with a
``Pace`` whose ``until`` lies before its own time-out, a store on S3 (If-Match) and an audit log of
its own.
"""
