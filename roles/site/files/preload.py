# Ansible managed
"""Load the models that the plan keeps in memory, as the gateway will ask for them. It is run whenever the engine has started.

preload.py ENGINE PLAN: the engine's address, and the file with the plan.
"""

import json
import sys
import time
import urllib.error
import urllib.request

PATIENCE = 600  # seconds for the engine to answer


def ask(engine, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(engine + path, data), timeout=PATIENCE) as answer:
        return json.load(answer)


def wait(engine):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask(engine, "/api/version")
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit("the engine does not answer: %s" % error)
            time.sleep(1)


def main():
    engine, path = sys.argv[1:]
    with open(path, encoding="utf-8") as stream:
        plan = json.load(stream)
    wait(engine)
    failed = 0
    for model in plan["models"]:
        if not model["preload"]:
            continue
        options = {"num_ctx": model["context"]}
        if model["placement"] == "cpu" and plan["budget"]["kind"] != "cpu":
            options["num_gpu"] = 0
        question = "/api/generate" if model["mode"] == "chat" else "/api/embed"
        try:
            ask(engine, question, {"model": model["name"], "keep_alive": -1, "options": options})
            print("loaded %s" % model["name"], flush=True)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                # The engine starts before its models are pulled; whoever pulls them loads them.
                print("%s is not there yet" % model["name"], flush=True)
                continue
            print("%s: %s" % (model["name"], error.read().decode("utf-8", "replace").strip()), file=sys.stderr)
            failed += 1
        except OSError as error:
            print("%s: %s" % (model["name"], error), file=sys.stderr)
            failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
