"""Where an import reads from: the emulator's own repositories, or a loopback server.

Public hosts resolve to the repositories this emulator plays: ``github.com`` to its GitHub,
``dev.azure.com`` to its Azure Repos. Reading still goes through real git over real HTTP, so that
private repositories ask for credentials here too. Nothing else is ever contacted.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urlsplit

from reconciler.emulator.smart_http import git_environment, run_git
from reconciler.emulator.world import World

__all__ = ["Source", "fetch", "probe", "resolve"]

_PROBE_TIMEOUT_S = 60.0
_FETCH_TIMEOUT_S = 600.0
_NEVER_CONNECTED = "this remote has never connected"


@dataclass(frozen=True, slots=True)
class Source:
    """A source that can be read.

    Attributes:
        url: What git is given; carries no credentials.
        key: The git store's key if the repository is one of ours.
        own: Whether the emulator itself answers there.
        username: From the service endpoint, or from the URL.
        password: As above; "" for none.
    """

    url: str
    key: str | None
    own: bool
    username: str = ""
    password: str = field(default="", repr=False)


def resolve(world: World, url: str, *, username: str = "", password: str = "") -> Source | None:
    """Return where a source URL leads, None if it can not be a source.

    Userinfo in an Azure Repos URL is refused, and so are its API URLs
    (source: azure-devops-import.md section 5).
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    host = (parts.hostname or "").lower()
    if parts.scheme not in {"http", "https"} or not host:
        return None
    azure = host == "dev.azure.com" or host.endswith(".visualstudio.com")
    if azure and (parts.password or "_apis" in parts.path.lower()):
        return None
    mapped = _mapped(world, parts, host)
    if mapped is None:
        if not _is_loopback(host):
            return None
        shown = f"[{host}]" if ":" in host else host
        mapped = f"{parts.scheme}://{shown}{f':{port}' if port else ''}{parts.path}"
    own = any(
        mapped.startswith(f"{root}/")
        for root in (world.own_urls.github_url, world.own_urls.devops_url)
    )
    if _is_loopback(host) and not own and world.azdo.settings.refuse_loopback_sources:
        return None
    return Source(
        url=mapped,
        key=_key(world, mapped),
        own=own,
        username=username or unquote(parts.username or ""),
        password=password or unquote(parts.password or ""),
    )


def _mapped(world: World, parts: SplitResult, host: str) -> str | None:
    if host in {"github.com", "www.github.com"}:
        return f"{world.own_urls.github_url}{parts.path.rstrip('/')}"
    if host == "dev.azure.com":
        return f"{world.own_urls.devops_url}{parts.path.rstrip('/')}"
    if host.endswith(".visualstudio.com"):
        organization = quote(host.partition(".")[0])
        return f"{world.own_urls.devops_url}/{organization}{parts.path.rstrip('/')}"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key(world: World, url: str) -> str | None:
    """Return the git store's key of one of our own repositories."""
    for root in (world.own_urls.github_url, world.own_urls.devops_url):
        if url.startswith(f"{root}/"):
            pieces = [unquote(piece) for piece in url.removeprefix(f"{root}/").split("/")]
            if root == world.own_urls.github_url and len(pieces) == 2:
                repository = world.github.find(pieces[0], pieces[1].removesuffix(".git"))
                return None if repository is None else repository.key
            if "_git" in pieces and len(pieces) >= 3:
                name = pieces[-1]
                project = pieces[-3] if len(pieces) > 3 else name
                found = world.azdo.locate(pieces[-4 if len(pieces) > 3 else 0], project, name)
                return None if found is None else found.key
    return None


def _environment(world: World, source: Source) -> dict[str, str]:
    """Return git's environment: credentials go through it, never through an argument list."""
    settings = [("http.followRedirects", "false"), ("credential.helper", "")]
    if source.password:
        pair = base64.b64encode(f"{source.username}:{source.password}".encode()).decode()
        settings.append(("http.extraHeader", f"Authorization: Basic {pair}"))
    if source.own:
        settings.append(("http.extraHeader", f"X-Emulator-Internal: {world.internal_key}"))
        if world.ca_file is not None:
            settings.append(("http.sslCAInfo", str(world.ca_file)))
    environment = git_environment()
    environment["GIT_ALLOW_PROTOCOL"] = "http:https"
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    for index, (name, value) in enumerate(settings):
        environment[f"GIT_CONFIG_KEY_{index}"] = name
        environment[f"GIT_CONFIG_VALUE_{index}"] = value
    return environment


async def probe(world: World, source: Source) -> bool:
    """Whether the source answers, lets us in, and has at least one ref."""
    try:
        code, output, _ = await run_git(
            "ls-remote",
            "--",
            source.url,
            timeout_s=_PROBE_TIMEOUT_S,
            environment=_environment(world, source),
        )
    except TimeoutError:
        return False
    return code == 0 and bool(output.strip())


async def fetch(world: World, source: Source, into: str, prefix: str) -> str:
    """Fetch heads and tags below a prefix of refs; return "" or why it failed."""
    if source.key is not None and world.azdo.failing_sources.get(source.key, 0) > 0:
        world.azdo.failing_sources[source.key] -= 1
        return _NEVER_CONNECTED
    try:
        code, _, errors = await run_git(
            "-C",
            str(world.repos.path(into)),
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--",
            source.url,
            f"+refs/heads/*:{prefix}heads/*",
            f"+refs/tags/*:{prefix}tags/*",
            timeout_s=_FETCH_TIMEOUT_S,
            environment=_environment(world, source),
        )
    except TimeoutError:
        return "the source took too long"
    if code == 0:
        return ""
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"git fetch ended with {code}"
