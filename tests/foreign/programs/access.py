"""azure-identity: print an access token for a scope."""

import json
import sys

from azure.identity import DefaultAzureCredential

sys.stdout.write(json.dumps(DefaultAzureCredential().get_token(sys.argv[1]).token))
