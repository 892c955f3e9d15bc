# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ollama_model against a real engine and a real mirror, and all the bad luck that a pull can have."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
ENGINE, SMALL = "http://172.30.92.3:11434", "http://172.30.92.4:11434"
MIRROR = "172.30.92.2:5000"
SIZE = 306_000_000  # bytes of the large model, a little more
VOLUMES = "/var/lib/docker/volumes/{}/_data/models"
SLOW = "limit_rate 8m;"  # a second and connection; the engine opens four for such a model


def docker(*command):
    return subprocess.run(["docker", *command], capture_output=True, text=True, check=True).stdout


def nginx(directives=""):
    """Put directives into the mirror's way to its blobs, and forget what it has logged."""
    docker(
        "exec", "models-mirror", "sh", "-euc",
        "cp -n /etc/lab/nginx.conf /etc/lab/nginx.orig; awk -v more='%s' '{print} /location ~/ {print more}' /etc/lab/nginx.orig >/etc/lab/nginx.conf;"
        " nginx -c /etc/lab/nginx.conf -s reload; sleep 0.3; : >/srv/nginx-access.log" % directives,
    )  # fmt: skip


def sent():
    """The bytes of blobs that the mirror has sent to engines, by its own log."""
    time.sleep(0.3)
    log = docker("exec", "models-mirror", "cat", "/srv/nginx-access.log")
    return sum(int(size) for size in re.findall(r'"GET /v2/\S+/blobs/\S+ HTTP/1.1" 20\d sent=(\d+) range=bytes', log))


def api(path, body=None, url=ENGINE):
    request = urllib.request.Request(url + path, data=json.dumps(body).encode() if body else None, method="POST" if body else "GET")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def names(url=ENGINE):
    return sorted(model["name"] for model in api("/api/tags", url=url)["models"])


class Call:
    """A call of the module in a process of its own, as a task of Ansible makes it."""

    def __init__(self, *models, check=False, **options):
        args = {"url": ENGINE, "mirror": MIRROR, "mirror_insecure": True, "retries": 0, "idle_timeout": 20, **options}
        args["models"] = [model if isinstance(model, dict) else {"name": model} for model in models]
        self.mark = uuid.uuid4().hex
        environment = {**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1", "MODELS_TEST": self.mark}
        for name in ("ANSIBLE_FORCE_COLOR", "PY_COLORS", "FORCE_COLOR", "ANSIBLE_STDOUT_CALLBACK"):
            environment.pop(name, None)
        command = [
            "ansible",
            "-i",
            TOP / "molecule/models/inventory",
            "engine",
            "-m",
            "local_llm.fleet.ollama_model",
            "-a",
            json.dumps(args),
        ]
        self.process = subprocess.Popen(
            command + (["-C"] if check else []), cwd=TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def end(self):
        """Wait for it, and return its result."""
        self.text = self.process.communicate(timeout=180)[0]
        print(self.text)
        return {"failed": "FAILED!" in self.text, **json.loads(self.text[self.text.index("=> {") + 3 :])}

    def processes(self, program):
        """The numbers of this call's processes of a program."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                mine = f"MODELS_TEST={self.mark}".encode() in (folder / "environ").read_bytes()
                if mine and program.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


def call(*models, **options):
    return Call(*models, **options).end()


def actions(result):
    return {model["name"]: model["action"] for model in result["models"]}


@pytest.fixture(autouse=True)
def clean():
    """An empty engine, without left parts of pulls, and a mirror that is well."""
    nginx()
    docker("restart", "-t", "1", "models-engine")  # drops parts
    await_engine()
    for name in names():
        urllib.request.urlopen(urllib.request.Request(ENGINE + "/api/delete", json.dumps({"model": name}).encode(), method="DELETE"))


def await_engine(url=ENGINE):
    for _ in range(100):
        try:
            return api("/api/version", url=url)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the engine does not start")


def moving(expected):
    """Wait until the mirror has a part of a pull behind it."""
    for _ in range(200):
        time.sleep(0.1)
        parts = docker("exec", "models-engine", "sh", "-c", "du -ks /root/.ollama/models/blobs 2>/dev/null || true").split()
        if parts and int(parts[0]) * 1024 > expected:
            return
    raise AssertionError("nothing moves")


# What the module is for


def test_check_mode_tells_the_truth_and_fetches_no_layer():
    call("tinyllama")
    docker("exec", "models-engine", "ollama", "cp", "tinyllama", "large")  # another version under this name
    nginx()
    for state, wanted in (
        ("present", {"tinyllama:latest": "none", "large:latest": "none", "large-next:latest": "pulled"}),
        ("latest", {"tinyllama:latest": "none", "large:latest": "updated", "large-next:latest": "pulled"}),
        ("absent", {"tinyllama:latest": "removed", "large:latest": "removed", "large-next:latest": "none"}),
    ):
        result = call("tinyllama", "large", "large-next", state=state, check=True)
        assert (actions(result), sent()) == (wanted, 0)
        assert names() == ["large:latest", "tinyllama:latest"]
    assert call("tinyllama", check=True, state="latest")["changed"] is False
    for state, wanted in (("latest", {"large:latest": "updated"}), ("absent", {"large:latest": "removed"})):
        assert actions(call("large", state=state)) == wanted
        assert call("large", state=state)["changed"] is False


def test_a_pull_shows_itself_and_counts_its_bytes():
    nginx(SLOW)
    running = Call("large", models_dir=VOLUMES.format("local-llm-models"))
    result = running.end()
    assert len(re.findall(r"^  \[engine\] large:latest +\d+ %, \d+ MB of 306 MB, \d+\.\d MB/s, \d+ s left$", running.text, re.M)) >= 2
    assert re.search(r"^  \[engine\] large:latest pulled: 306 MB in \d+ s$", running.text, re.M)
    (model,) = result["models"]
    assert model["bytes"] == pytest.approx(sent(), rel=0.01)
    assert model["bytes"] == pytest.approx(model["size"], rel=0.001)
    silent = Call("tinyllama", progress=False)
    assert silent.end()["changed"] and " %, " not in silent.text


@pytest.mark.parametrize("name", ["TinyLlama", "tinyllama:latest", "library/tinyllama", "registry.ollama.ai/library/tinyllama:latest"])
def test_one_model_under_many_names(name):
    call("tinyllama")
    assert call(name)["changed"] is False
    assert actions(call(name, state="absent")) and names() == []


def test_an_expected_digest():
    digest = call("tinyllama")["models"][0]["digest"]
    assert call({"name": "tinyllama", "digest": digest})["changed"] is False
    nginx()
    result = call({"name": "tinyllama", "digest": "0" * 64})
    assert result["msg"] == f"tinyllama:latest: the registry has the digest {digest}, not {'0' * 64}"
    assert sent() == 0


def test_others_are_named_and_removed_only_when_asked():
    call("tinyllama", "large-next")
    result = call("tinyllama")
    assert (result["changed"], result["extra"]) == (False, ["large-next:latest"])
    assert call("tinyllama", exclusive=True, check=True)["models"][1]["action"] == "removed"
    call("tinyllama", exclusive=True)
    assert names() == ["tinyllama:latest"]


def test_loaded_and_unloaded():
    wanted = {"name": "tinyllama", "loaded": True, "keep_alive": "-1", "options": {"num_ctx": 2048}}
    assert call(wanted)["models"][0]["memory"] == "loaded"
    assert [model["name"] for model in api("/api/ps")["models"]] == ["tinyllama:latest"]
    assert call(wanted)["changed"] is False
    assert call({"name": "tinyllama", "loaded": False})["models"][0]["memory"] == "unloaded"
    for _ in range(30):
        if not api("/api/ps")["models"]:
            break
        time.sleep(0.1)
    assert call({"name": "tinyllama", "loaded": False})["changed"] is False


def test_a_model_in_use_while_it_is_removed():
    call({"name": "tinyllama", "loaded": True, "keep_alive": "-1"})
    assert actions(call("tinyllama", state="absent")) == {"tinyllama:latest": "removed"}
    for _ in range(30):
        if not api("/api/ps")["models"]:
            break
        time.sleep(0.1)
    assert (names(), api("/api/ps")["models"]) == ([], [])


def test_two_models_at_a_time():
    assert set(actions(call("large", "large-next", parallel=2)).values()) == {"pulled"}


def test_a_replaced_version_leaves_no_data_behind():
    call("tinyllama")
    docker("exec", "models-engine", "sh", "-c", "ollama cp tinyllama large-next")
    assert actions(call("large-next", state="latest")) == {"large-next:latest": "updated"}
    call("tinyllama", exclusive=True)
    fresh = docker("exec", "models-engine", "ls", "/root/.ollama/models/blobs").split()
    manifest = docker("exec", "models-engine", "cat", "/root/.ollama/models/manifests/registry.ollama.ai/library/tinyllama/latest")
    assert len(fresh) == len(json.loads(manifest)["layers"]) + 1


# Bad luck with the registry


def test_a_model_that_the_registry_does_not_have():
    for check in (True, False):
        assert call("nosuch:1b", "tinyllama", check=check)["msg"] == (
            f"nosuch:1b: HTTP 404: {MIRROR} has no manifest of {MIRROR}/library/nosuch:1b:"
            " the registry has no such model: mind its name and tag, or put it there"
        )
    assert names() == ["tinyllama:latest"]  # one fault does not keep the others away


def test_a_mirror_that_is_down():
    docker("exec", "models-mirror", "sh", "-c", "nginx -c /etc/lab/nginx.conf -s stop")
    # Its container ends with it, and is started again.
    try:
        time.sleep(0.5)
        assert f"the registry {MIRROR} does not answer" in call("tinyllama", check=True)["msg"]
        result = call("tinyllama")
        assert result["failed"] and "\n" not in result["msg"]
        assert re.search(r"tinyllama:latest: pull model manifest: .*(connection refused|no route to host|i/o timeout)", result["msg"])
    finally:
        docker("start", "models-mirror")
        time.sleep(2)
    assert call("tinyllama")["changed"]


def test_a_mirror_whose_manifests_answer_500():
    docker(
        "exec", "models-mirror", "sh", "-euc",
        "cp -n /etc/lab/nginx.conf /etc/lab/nginx.orig; sed 's/location \\/ {/location \\/ { return 500;/' /etc/lab/nginx.orig >/etc/lab/nginx.conf;"
        " nginx -c /etc/lab/nginx.conf -s reload; sleep 0.3",
    )  # fmt: skip
    result = call("tinyllama")
    assert result["msg"].startswith("tinyllama:latest: pull model manifest: 500: <html> <head>") and "\n" not in result["msg"]


def test_a_mirror_whose_blobs_answer_500():
    nginx("return 500;")
    result = call("tinyllama")
    assert result["failed"] and result["msg"].startswith("tinyllama:latest: ") and "\n" not in result["msg"]
    nginx()
    assert call("tinyllama")["changed"]


def test_a_slow_mirror_is_waited_for():
    nginx("limit_rate 8m;")  # much longer than the idle timeout in all
    result = call("large", idle_timeout=3)
    assert result["models"][0]["seconds"] > 6 and actions(result) == {"large:latest": "pulled"}


def test_a_mirror_that_falls_silent_in_mid_blob():
    nginx(SLOW)
    running = Call("large", idle_timeout=4)
    moving(60e6)
    docker("pause", "models-mirror")
    try:
        started = time.monotonic()
        result = running.end()
        assert time.monotonic() - started < 12
    finally:
        docker("unpause", "models-mirror")
    assert re.fullmatch(
        r"large:latest: no progress for 4 s after \d+ bytes: run again: the engine goes on where it was, unless restarted", result["msg"]
    )
    nginx()
    assert call("large")["changed"]
    assert sent() < SIZE - 30e6  # what was there was not fetched again


def test_a_mirror_that_comes_back_is_found_again():
    nginx(SLOW)
    running = Call("large", idle_timeout=3, retries=3)
    moving(40e6)
    docker("pause", "models-mirror")
    time.sleep(5)
    docker("unpause", "models-mirror")
    (model,) = running.end()["models"]
    assert (model["action"], model["tries"] > 1) == ("pulled", True)


def test_a_flipped_bit():
    flip = (
        "f=$(find /srv/registry -name data -size +200M | sort | sed -n 1p);"
        ' perl -e \'open F,"+<",$ARGV[0] or die; binmode F; seek F,1e8,0; read F,$b,1; seek F,1e8,0; print F chr(ord($b)^1)\' "$f"'
    )
    docker("exec", "models-mirror", "sh", "-euc", flip)
    try:
        results = [call("large"), call("large-next")]
    finally:
        docker("exec", "models-mirror", "sh", "-euc", flip)
    (bad,) = [result for result in results if result.get("failed")]
    assert re.search(r"digest mismatch, file must be downloaded again: .*: what came is damaged: look at the registry's disk", bad["msg"])
    assert not call("large", "large-next").get("failed")
    assert names() == ["large-next:latest", "large:latest"]


def test_an_engine_too_old_for_the_model():
    text = '{"errors":[{"message":"this model requires a newer version of Ollama"}]}'
    docker(
        "exec", "models-mirror", "sh", "-euc",
        "cp -n /etc/lab/nginx.conf /etc/lab/nginx.orig; awk -v b='%s' '/location \\/ \\{/ {print \"location ~ /manifests/ { return 412 \\x27\" b \"\\x27; }\"} {print}'"
        " /etc/lab/nginx.orig >/etc/lab/nginx.conf; nginx -c /etc/lab/nginx.conf -s reload; sleep 0.3" % text,
    )  # fmt: skip
    assert re.search(r"requires a newer version of Ollama.*: upgrade the engine$", call("tinyllama")["msg"])


# Bad luck on the host


def test_the_module_is_killed_and_the_next_run_goes_on():
    nginx(SLOW)
    running = Call("large")
    moving(60e6)
    for number in running.processes("AnsiballZ_ollama_model"):
        os.kill(number, signal.SIGKILL)
    running.process.kill()
    running.process.wait()
    time.sleep(1)
    before = sent()
    assert names() == []
    nginx()
    assert call("large")["changed"]
    assert before > 30e6 and sent() < SIZE - 30e6


def test_the_control_node_goes_away_and_the_pull_goes_on():
    nginx(SLOW)
    running = Call("large")
    moving(60e6)
    running.process.kill()
    running.process.wait()
    assert names() == []
    for _ in range(300):
        if names() == ["large:latest"]:
            break
        time.sleep(0.1)
    assert names() == ["large:latest"]
    assert call("large")["changed"] is False


def test_the_engine_is_killed_in_mid_pull():
    nginx(SLOW)
    running = Call("large", retries=5)
    moving(60e6)
    docker("kill", "models-engine")
    docker("start", "models-engine")
    (model,) = running.end()["models"]
    assert (model["action"], model["tries"] > 1) == ("pulled", True)
    # This engine drops what it has of a pull when it starts.
    print(f"an engine that was killed after some 60 MB of {SIZE / 1e6:.0f}: {sent() / 1e6:.0f} MB were sent in all")
    assert sent() > SIZE + 30e6


def test_a_disk_that_is_too_small_is_seen_before():
    nginx()
    for check in (True, False):
        result = call("large", url=SMALL, models_dir=VOLUMES.format("local-llm-models-small"), disk_reserve=10, check=check)
        assert re.match(
            r"large:latest: disk_reserve: the models need 292 MiB more and 10 MiB must stay free, but .* has \d+ MiB: free some$",
            result["msg"],
        )
    assert sent() == 0


def test_a_disk_that_fills_up_is_freed_by_a_restart():
    result = call("large", url=SMALL)
    assert "no space left on device: free some space and run again; a restart of the engine drops what unfinished" in result["msg"]
    full = docker("exec", "models-small", "df", "-k", "--output=avail", "/root/.ollama").split()[-1]
    docker("restart", "-t", "1", "models-small")
    await_engine(SMALL)
    freed = docker("exec", "models-small", "df", "-k", "--output=avail", "/root/.ollama").split()[-1]
    print(f"free before the restart {int(full) // 1024} MiB, after it {int(freed) // 1024} MiB")
    assert int(full) < 60_000 < 150_000 < int(freed)


def test_two_runs_that_meet_share_one_download():
    nginx(SLOW)
    with ThreadPoolExecutor() as pool:
        results = [job.result() for job in [pool.submit(call, "large") for _ in range(2)]]
    assert [actions(result) for result in results] == [{"large:latest": "pulled"}] * 2
    assert sent() < SIZE * 1.1
    assert names() == ["large:latest"]


def test_an_engine_that_is_not_there():
    result = call("tinyllama", url="http://172.30.92.9:11434")
    assert result["msg"].startswith("the engine at http://172.30.92.9:11434 does not answer: ")
