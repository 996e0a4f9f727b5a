"""Defines what the administrator and the user can configure, and decides which value applies.

Modules here define and validate the settings, and read Jupyter's configuration files. They write
no file, and they decide nothing about a kernel, terminal or app: what a setting means for a
decision is in core/policy.py. The file with a user's own settings is read and written by
state/preferences.py.
"""

#: SageMaker writes this file into each of its containers. It says what the container is.
METADATA_PATH = "/opt/ml/metadata/resource-metadata.json"
