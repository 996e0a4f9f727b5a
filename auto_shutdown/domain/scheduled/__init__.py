"""The scheduled run of ``report``, ``check`` and ``tidy``: one CloudFormation template and one zip.

- AWS Lambda calls :mod:`.handler`. It builds the same objects as the command line, but its state
  and audit log are in S3 (:mod:`.s3`).
- :mod:`.package` makes the zip from the installed package. :mod:`.template` makes the template,
  with :mod:`.storage` and :mod:`.alarms`. :mod:`.monthly_cost` estimates the cost of a month.
- :mod:`.stack` deploys and removes both through CloudFormation.

:mod:`auto_shutdown.domain.actions` decides which apps are deleted, and when.
"""
