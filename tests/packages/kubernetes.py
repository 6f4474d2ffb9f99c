#!/usr/bin/env python3
"""The manifests for Kubernetes: against its schemas, and against the program that they run.
Usage: kubernetes.py FACADE KUSTOMIZE"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/kubernetes"
FACADE, KUSTOMIZE = map(os.path.realpath, sys.argv[1:])

# The oldest one that is still looked after by anybody, and the newest one.
VERSIONS = ["1.29", "1.34"]

STORE = "videoconf-facade-store"

SECONDS = re.compile(r"(\d+)s")


def built(folder):
    text = subprocess.run([KUSTOMIZE, "build", folder], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def with_component(name):
    """What a user's own kustomization makes of base and component."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "base").symlink_to(BASE)
        kustomization = {"resources": ["base"], "components": [f"base/{name}"]}
        (pathlib.Path(folder) / "kustomization.yaml").write_text(json.dumps(kustomization))
        return built(folder)


def of_kind(objects, kind):
    return [it for it in objects if it["kind"] == kind]


def is_of_store(it):
    return it["metadata"]["name"] == STORE


def check(what, holds):
    if not holds:
        sys.exit(f"FAILED: {what}")


def check_schemas(objects):
    for version in VERSIONS:
        for it in objects:
            try:
                kubernetes_validate.validate(it, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                sys.exit(f"FAILED: {it['kind']} {it['metadata']['name']} by {version}: {error.message}")


def check_names(objects):
    """What names another one names one that there is."""
    [deployment] = of_kind(objects, "Deployment")
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    ports = {it["name"]: it["containerPort"] for it in container["ports"]}
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [it["spec"]["selector"] for it in of_kind(objects, "Service")]
    selectors += [it["spec"]["selector"]["matchLabels"] for it in of_kind(objects, "PodDisruptionBudget")]
    selectors += [it["spec"]["podSelector"]["matchLabels"] for it in of_kind(objects, "NetworkPolicy")]
    selectors += [it["labelSelector"]["matchLabels"] for it in template["spec"]["topologySpreadConstraints"]]
    for selector in selectors:
        check(f"{selector} is none of the pods' labels", selector and selector.items() <= labels.items())
    targets = [port["targetPort"] for it in of_kind(objects, "Service") for port in it["spec"]["ports"]]
    [policy] = of_kind(objects, "NetworkPolicy")
    targets += [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    targets += [container[it]["httpGet"]["port"] for it in ("livenessProbe", "readinessProbe")]
    for target in targets:
        check(f"no port {target}", target in ports)
    [config] = of_kind(objects, "ConfigMap")
    protocols = [port.get("appProtocol") for it in of_kind(objects, "Service") for port in it["spec"]["ports"]]
    in_clear = None if "VIDEOCONF_TLS_CERT" in config["data"] else "kubernetes.io/h2c"
    check(f"{protocols} is spoken", protocols == [in_clear] * 2)
    scraped = template["metadata"]["annotations"]["prometheus.io/port"]
    check(f"Prometheus scrapes {scraped}", int(scraped) == ports["admin"])
    mounts = {it["name"] for it in container.get("volumeMounts", [])}
    mounted = tuple(it["mountPath"] + "/" for it in container.get("volumeMounts", []))
    for name, value in config["data"].items():
        check(f"nothing is at {name}={value}", not value.startswith("/") or value.startswith(mounted))
    check("a mount without a volume", mounts == {it["name"] for it in template["spec"].get("volumes", [])})
    [source] = container["envFrom"]
    check("other variables", source["configMapRef"]["name"] == config["metadata"]["name"])
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    check(f"{container['image']} isn't {version}", container["image"].endswith(f":{version}"))
    return template["spec"], container, ports, config["data"]


def check_restricted(pod):
    """What Pod Security's "restricted" asks for."""
    [container] = pod["containers"]
    own = container["securityContext"]
    check("not restricted", own["capabilities"]["drop"] == ["ALL"] and own["allowPrivilegeEscalation"] is False)
    check("not read-only", own["readOnlyRootFilesystem"] is True)
    check("may be root", pod["securityContext"]["runAsNonRoot"] is True)
    check("no seccomp", pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault")


def check_limits(pod, variables):
    """That, and a time to leave that is long enough."""
    check_restricted(pod)
    leaving = [variables.get(f"VIDEOCONF_{it}", "0s") for it in ("SHUTDOWN_NOTICE", "DRAIN_TIMEOUT")]
    takes = sum(int(SECONDS.fullmatch(it)[1]) for it in leaving) + 5
    check(f"{takes} s to leave", pod["terminationGracePeriodSeconds"] > takes)


def check_program(container, ports, variables, instead, ready):
    """The program takes the variables, some with values for here, listens where it is expected, and answers what probes
    ask; the readiness probe with that."""
    for name, variable in [("grpc", "VIDEOCONF_LISTEN"), ("admin", "VIDEOCONF_ADMIN_LISTEN")]:
        check(f"{variable} isn't {name}", variables[variable] == f"0.0.0.0:{ports[name]}")
    known = subprocess.run([FACADE, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    for name in variables:
        check(f"no variable {name}", re.search(rf"env:\s+{name}\]", known))
    here = {**variables, "VIDEOCONF_LISTEN": "127.0.0.1:0", "VIDEOCONF_ADMIN_LISTEN": "127.0.0.1:0"}
    here = {name: value for name, value in here.items() if "TLS" not in name} | instead
    facade = subprocess.Popen([FACADE, "serve"], env={**os.environ, **here}, stderr=subprocess.PIPE, text=True)
    try:
        lines = (json.loads(line) for line in facade.stderr)
        admin = next((it["listen"] for it in lines if it["message"] == "serving operators"), None)
        check("it doesn't serve", admin)
        for probe in ("livenessProbe", "readinessProbe"):
            path = container[probe]["httpGet"]["path"]
            url = f"http://{admin}{path}"
            check(path, asked(url)[0] == 200)
        for _ in range(100):
            if asked(url)[1] == ready:
                break
            time.sleep(0.1)
        check(f"{url}: {asked(url)[1]}", asked(url)[1] == ready)
    finally:
        facade.kill()  # it would wait for VIDEOCONF_SHUTDOWN_NOTICE
        facade.wait()


def asked(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


def check_store(objects, policy, variables, folder):
    """The store has the name and the port that the facade asks for, lets the facade in, and runs with its arguments.
    What the facade needs to use it here."""
    [deployment], [service], [own_policy] = (of_kind(objects, it) for it in ("Deployment", "Service", "NetworkPolicy"))
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    for selector in [deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"],
                     own_policy["spec"]["podSelector"]["matchLabels"]]:
        check(f"{selector} is none of the store's labels", selector == labels)
    ports = {it["name"]: it["containerPort"] for it in container["ports"]}
    targets = [service["spec"]["ports"][0]["targetPort"], own_policy["spec"]["ingress"][0]["ports"][0]["port"]]
    targets += [container[it]["tcpSocket"]["port"] for it in ("livenessProbe", "readinessProbe")]
    check(f"no port among {targets}", set(targets) == set(ports))
    [port] = ports.values()
    url = variables["VIDEOCONF_SHARED_STORE"]
    check(f"nothing is at {url}", url == f"redis://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}")
    rules = policy["spec"]["egress"]
    check("no way to the store", {"to": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": port}]} in rules)
    check("two stores at a time", deployment["spec"]["strategy"] == {"type": "Recreate"})
    # Redis takes what Valkey does.
    instead = f"redis-server - --port 0 --unixsocket {folder}/socket --dir {folder}"
    command = container["args"][0].replace("valkey-server -", instead, 1)
    environment = {**os.environ, "PASSWORD": "secret"}
    store = subprocess.Popen([*container["command"], command], env=environment, stdout=subprocess.DEVNULL)
    (pathlib.Path(folder) / "key").write_text("k" * 64)
    (pathlib.Path(folder) / "password").write_text("secret")
    files = {it: f"{folder}/{variables[it].split('/')[-1]}" for it in variables if it.endswith("_FILE")}
    return store, {**files, "VIDEOCONF_SHARED_STORE": f"unix://{folder}/socket"}


def check_all(name, objects):
    check_schemas(objects)
    store = [it for it in objects if is_of_store(it)]
    objects = [it for it in objects if not is_of_store(it)]
    pod, container, ports, variables = check_names(objects)
    check_limits(pod, variables)
    if not store:
        return check_program(container, ports, variables, {}, "ok\n")
    [stores_pod] = [it["spec"]["template"]["spec"] for it in of_kind(store, "Deployment")]
    check_restricted(stores_pod)
    with tempfile.TemporaryDirectory() as folder:
        [policy] = of_kind(objects, "NetworkPolicy")
        process, instead = check_store(store, policy, variables, folder)
        try:
            ready = "ok\nshared store: reached, 1 replicas\n"
            check_program(container, ports, variables, instead, ready)
            process.terminate()
            check("the store doesn't end as it is asked to", process.wait(10) == 0)
        finally:
            process.kill()
            process.wait()


def main():
    for name, objects in [
        ("base", built(BASE)),
        ("with TLS", with_component("tls")),
        ("with a shared store", with_component("shared-store")),
    ]:
        check_all(name, objects)
        print(f"ok      Kubernetes: {name}")


if __name__ == "__main__":
    main()
