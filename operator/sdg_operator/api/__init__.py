"""What users and administrators write: models of both kinds and of the settings. The CRDs are generated from them.

Imports nothing else of ours.
"""

GROUP = "sdg-operator.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
