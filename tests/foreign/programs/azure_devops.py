"""The azure-devops SDK: projects, repositories, refs, service endpoints and import requests."""

import json
import sys
import time

from azure.devops.connection import Connection
from azure.devops.exceptions import AzureDevOpsServiceError
from azure.devops.v7_1.git import models as git_models
from azure.devops.v7_1.service_endpoint import models as endpoint_models
from azure.identity import DefaultAzureCredential
from msrest.authentication import BasicTokenAuthentication

DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798/.default"

token = DefaultAzureCredential().get_token(DEVOPS).token
connection = Connection(
    base_url="https://dev.azure.com/contoso",
    creds=BasicTokenAuthentication({"access_token": token}),
)
clients = connection.clients_v7_1
core, git = clients.get_core_client(), clients.get_git_client()
endpoints = clients.get_service_endpoint_client()

projects = core.get_projects()
project = core.get_project("Sales", include_capabilities=True)
repositories = git.get_repositories("Sales")
refs = git.get_refs("fabric-sales", project="Sales", filter="heads/")
tip = refs[0].object_id
created_refs = git.update_refs(
    [git_models.GitRefUpdate(name="refs/heads/topic", old_object_id="0" * 40, new_object_id=tip)],
    "fabric-sales",
    project="Sales",
)
commits = git.get_commits(
    "fabric-sales", git_models.GitQueryCommitsCriteria(), project="Sales", top=5
)
text = b"".join(
    git.get_item_text("fabric-sales", "/Hello.Notebook/notebook-content.py", project="Sales")
).decode()
pushed = git.create_push(
    git_models.GitPush(
        ref_updates=[git_models.GitRefUpdate(name="refs/heads/topic", old_object_id=tip)],
        commits=[
            git_models.GitCommitRef(
                comment="From the SDK",
                changes=[
                    git_models.Change(
                        change_type="add",
                        item={"path": "/NOTES.md"},
                        new_content=git_models.ItemContent(
                            content="notes\n", content_type="rawtext"
                        ),
                    )
                ],
            )
        ],
    ),
    "fabric-sales",
    project="Sales",
)
target = git.create_repository(
    git_models.GitRepositoryCreateOptions(name="imported", project={"id": project.id}),
    project="Sales",
)
endpoint = endpoints.create_service_endpoint(
    endpoint_models.ServiceEndpoint(
        name="source",
        type="git",
        url="https://github.com/contoso/private.git",
        owner="library",
        is_shared=False,
        authorization=endpoint_models.EndpointAuthorization(
            scheme="UsernamePassword", parameters={"username": "x", "password": "p4t"}
        ),
        service_endpoint_project_references=[
            endpoint_models.ServiceEndpointProjectReference(
                name="source",
                project_reference=endpoint_models.ProjectReference(id=project.id, name="Sales"),
            )
        ],
    )
)
shown = endpoints.get_service_endpoint_details("Sales", endpoint.id)
named = endpoints.get_service_endpoints("Sales", type="git")
request = git.create_import_request(
    git_models.GitImportRequest(
        parameters=git_models.GitImportRequestParameters(
            git_source=git_models.GitImportGitSource(
                url="https://github.com/contoso/private.git", overwrite=False
            ),
            service_endpoint_id=endpoint.id,
            delete_service_endpoint_after_import_is_done=True,
        )
    ),
    "Sales",
    "imported",
)
steps = [request.status]
while steps[-1] not in {"completed", "failed", "abandoned"}:
    time.sleep(0.05)
    steps.append(git.get_import_request("Sales", "imported", request.import_request_id).status)
imported = git.get_repository("imported", project="Sales")
branches = [ref.name for ref in git.get_refs("imported", project="Sales")]
listed = git.query_import_requests("Sales", "imported", include_abandoned=True)
left = endpoints.get_service_endpoints("Sales")
try:
    git.get_repository("missing", project="Sales")
    missing = ""
except AzureDevOpsServiceError as error:
    missing = error.type_key
git.update_repository(git_models.GitRepository(name="renamed"), imported.id, project="Sales")
git.delete_repository(imported.id, project="Sales")
binned = [found.name for found in git.get_recycle_bin_repositories("Sales")]
sys.stdout.write(
    json.dumps(
        {
            "projects": [found.name for found in projects],
            "capabilities": project.capabilities["versioncontrol"]["sourceControlType"],
            "repositories": sorted(found.name for found in repositories),
            "remote": repositories[0].remote_url.split("@")[-1].split("/")[0],
            "refs": [ref.name for ref in refs],
            "created": [[found.success, found.update_status] for found in created_refs],
            "commits": len(commits),
            "text": text,
            "pushed": pushed.ref_updates[0].name,
            "target": [target.name, target.size],
            "endpoint": [shown.name, shown.type, len(named)],
            "first": steps[0],
            "last": steps[-1],
            "branches": branches,
            "requests": [found.import_request_id == request.import_request_id for found in listed],
            "endpoints": len(left),
            "missing": missing,
            "binned": binned,
        }
    )
)
