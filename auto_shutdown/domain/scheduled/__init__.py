"""The scheduled run of ``report``, ``check`` and ``tidy``: one CloudFormation template and one zip.

- :mod:`.handler` is what AWS Lambda calls. It builds the same objects as the command line does,
  with its state and audit log in S3 (:mod:`.s3`).
- :mod:`.package` makes the zip from the installed package, :mod:`.template` the template,
  :mod:`.upkeep` the estimate of what it costs a month.
- :mod:`.stack` deploys and removes both through CloudFormation.

What is deleted, and when, is decided in :mod:`auto_shutdown.domain.actions`, and not here.
"""
