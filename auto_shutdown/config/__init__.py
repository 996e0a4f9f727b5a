"""Defines what the administrator and the user can configure, and decides which value applies.

This folder defines and validates the settings, and reads Jupyter's configuration files. The file
with a user's own settings is read and written by ``state`` (preferences.py).
"""

#: SageMaker writes this file into each of its containers. It says what the container is.
METADATA_PATH = "/opt/ml/metadata/resource-metadata.json"
