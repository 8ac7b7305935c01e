"""The jobs of CI and the steps of ``scripts/run_tests.sh``, which they run."""

import re
import subprocess
from pathlib import Path

import yaml


def steps(project_root: Path) -> list[str]:
    """Names of the steps in the usage line of the script."""
    text = (project_root / 'scripts/run_tests.sh').read_text()
    return re.search(r'^# Usage: scripts/run_tests\.sh \[([a-z|]+)\]', text, re.M)[1].split('|')


def test_every_job_runs_a_step_of_its_own(project_root):
    jobs = yaml.safe_load((project_root / '.github/workflows/ci.yml').read_text())['jobs']
    commands = [
        step['run'].split() for job in jobs.values() for step in job['steps'] if 'run' in step
    ]
    assert [command[0] for command in commands] == ['scripts/run_tests.sh'] * 4
    assert [command[1] for command in commands] == steps(project_root)


def test_every_step_is_a_function_and_all_of_them_are_run_without_one(project_root):
    """``runtime`` alone is left out there: the tests take the same step."""
    text = (project_root / 'scripts/run_tests.sh').read_text()
    assert set(re.findall(r'^check_(\w+)\(\)', text, re.M)) >= set(steps(project_root))
    everything = text.split('\nall)')[1].split(';;')[0]
    assert set(re.findall(r'check_(\w+)', everything)) == {*steps(project_root)} - {'runtime'}


def test_scripts_are_valid_bash(project_root):
    scripts = sorted((project_root / 'scripts').glob('*.sh')) + [project_root / '.ci/run']
    for script in scripts:
        checked = subprocess.run(['bash', '-n', str(script)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
