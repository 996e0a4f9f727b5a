"""``jupyter auto-shutdown domain``: an administrator reports on, checks and tidies whole SageMaker
domains.

Installed with the extra ``[sagemaker]`` (boto3 and nothing else), and never loaded by a server.

These modules are pure (no I/O, no clock). They turn facts into findings and actions:

- :mod:`.facts` ``Facts``: what one reading of the account found; ``None`` is unknown. It consists
  of :mod:`.resources` (apps, spaces, …) and :mod:`.observations` (Canvas metric, report lines).
- :mod:`.policy` ``parse(json) -> DomainPolicy``: the administrator's policy file.
- :mod:`.findings` ``examine(facts, policy) -> tuple[Finding, ...]``: for ``domain check``.
- :mod:`.actions` ``plan(facts, policy, memory) -> TidyPlan``: for ``domain tidy``. :mod:`.rules`
  says which rule covers an app, :mod:`.policy_exceptions` which exception.
- :mod:`.memory` ``Memory``: the notices that a run hands to the next, with ``to_json`` and
  ``from_json``.
- :mod:`.costs`, :mod:`.report` ``build(facts, policy) -> dict``: the report as JSON.
  :mod:`.page` ``html(report) -> str``: the report as one page.
- :mod:`.report_lines`: parses the servers' report lines.

The other modules do the I/O. They space all calls to AWS (*paced* calls):

- :mod:`.pace` ``Aws(region, session, pace)``: calls of one region; ``Pace(until=monotonic)`` ends a
  run in time (``OutOfTimeError``).
- :mod:`.reader` ``Reader(aws, scope, now).read() -> Facts``; ``aws`` is a function from a region's
  name to its ``Aws``, :mod:`.scope` says what to read. :mod:`.read_lists` reads SageMaker's lists,
  :mod:`.read_observations` what other services know about apps, :mod:`.read_account` facts of the
  account.
- :mod:`.tidy` ``Tidy(reader, policy, store, audit, notifier, aws, now).run(dry_run) -> Run``;
  :mod:`.deletion` deletes one app.
- :mod:`.stores` ``StateStore`` (``load() -> (Memory, version)``, ``save(memory, version) ->
  version`` or ConflictError) and ``AuditLog`` (``write(*entries)``, durable when it returns): here
  in files. :mod:`.notices` ``Notifier`` and ``AwsNotifier``.
- :mod:`.teardown`: removes a whole domain.

The scheduled function (:mod:`.scheduled`) builds the same objects as
:mod:`auto_shutdown.cli.domain`. Its ``Pace`` ends before Lambda's time-out, and its state and audit
log are in S3.
"""
