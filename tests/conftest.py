"""What all tests share: every exchange of every emulator is checked against the contracts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from azurite_process import Azurite, NotAvailable, running_azurite
from swagger_contract import contracts_folder, violations

_VARIABLE = "RECONCILER_EMULATOR_RECORD"


@pytest.fixture(scope="session", autouse=True)
def every_exchange_fits_the_contracts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Record what emulators of this run answer, in this process or below it, and check it all."""
    contracts = contracts_folder()
    if contracts is None:
        yield
        return
    record: Path = tmp_path_factory.mktemp("record") / "exchanges.jsonl"
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = str(record)
    yield
    if before is None:
        del os.environ[_VARIABLE]
    else:
        os.environ[_VARIABLE] = before
    found = violations(contracts, record) if record.exists() else []
    assert not found, "answers that the contracts do not know:\n" + "\n".join(found)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Start one emulator of Azure Storage; without npm the tests that need it are skipped."""
    try:
        running = running_azurite(tmp_path_factory.mktemp("azurite"))
    except NotAvailable as why:
        pytest.skip(str(why))
    with running as found:
        yield found
