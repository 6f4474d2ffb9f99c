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
import tomllib
import urllib.request

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/kubernetes"
FACADE, KUSTOMIZE = map(os.path.realpath, sys.argv[1:])

# The oldest one that is still looked after by anybody, and the newest one.
VERSIONS = ["1.29", "1.34"]

SECONDS = re.compile(r"(\d+)s")


def built(folder):
    text = subprocess.run([KUSTOMIZE, "build", folder], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def with_tls(folder):
    """What a user's own kustomization makes of base and component."""
    (pathlib.Path(folder) / "base").symlink_to(BASE)
    kustomization = {"resources": ["base"], "components": ["base/tls"]}
    (pathlib.Path(folder) / "kustomization.yaml").write_text(json.dumps(kustomization))
    return built(folder)


def of_kind(objects, kind):
    return [it for it in objects if it["kind"] == kind]


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
    scraped = template["metadata"]["annotations"]["prometheus.io/port"]
    check(f"Prometheus scrapes {scraped}", int(scraped) == ports["admin"])
    mounts = {it["name"] for it in container.get("volumeMounts", [])}
    mounted = tuple(it["mountPath"] + "/" for it in container.get("volumeMounts", []))
    [config] = of_kind(objects, "ConfigMap")
    for name, value in config["data"].items():
        check(f"nothing is at {name}={value}", not value.startswith("/") or value.startswith(mounted))
    check("a mount without a volume", mounts == {it["name"] for it in template["spec"].get("volumes", [])})
    [source] = container["envFrom"]
    check("other variables", source["configMapRef"]["name"] == config["metadata"]["name"])
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    check(f"{container['image']} isn't {version}", container["image"].endswith(f":{version}"))
    return template["spec"], container, ports, config["data"]


def check_limits(pod, variables):
    """What Pod Security's "restricted" asks for, and a time to leave that is long enough."""
    [container] = pod["containers"]
    own = container["securityContext"]
    check("not restricted", own["capabilities"]["drop"] == ["ALL"] and own["allowPrivilegeEscalation"] is False)
    check("not read-only", own["readOnlyRootFilesystem"] is True)
    check("may be root", pod["securityContext"]["runAsNonRoot"] is True)
    check("no seccomp", pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault")
    leaving = [variables.get(f"VIDEOCONF_{it}", "0s") for it in ("SHUTDOWN_NOTICE", "DRAIN_TIMEOUT")]
    takes = sum(int(SECONDS.fullmatch(it)[1]) for it in leaving) + 5
    check(f"{takes} s to leave", pod["terminationGracePeriodSeconds"] > takes)


def check_program(container, ports, variables):
    """The program takes the variables, listens where it is expected, and answers what probes ask."""
    for name, variable in [("grpc", "VIDEOCONF_LISTEN"), ("admin", "VIDEOCONF_ADMIN_LISTEN")]:
        check(f"{variable} isn't {name}", variables[variable] == f"0.0.0.0:{ports[name]}")
    known = subprocess.run([FACADE, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    for name in variables:
        check(f"no variable {name}", re.search(rf"env:\s+{name}\]", known))
    here = {**variables, "VIDEOCONF_LISTEN": "127.0.0.1:0", "VIDEOCONF_ADMIN_LISTEN": "127.0.0.1:0"}
    here = {name: value for name, value in here.items() if "TLS" not in name}
    facade = subprocess.Popen([FACADE, "serve"], env={**os.environ, **here}, stderr=subprocess.PIPE, text=True)
    try:
        lines = (json.loads(line) for line in facade.stderr)
        admin = next((it["listen"] for it in lines if it["message"] == "serving operators"), None)
        check("it doesn't serve", admin)
        for probe in ("livenessProbe", "readinessProbe"):
            path = container[probe]["httpGet"]["path"]
            with urllib.request.urlopen(f"http://{admin}{path}", timeout=10) as answer:
                check(path, answer.status == 200)
    finally:
        facade.kill()  # it would wait for VIDEOCONF_SHUTDOWN_NOTICE
        facade.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, objects in [("base", built(BASE)), ("with TLS", with_tls(folder))]:
            check_schemas(objects)
            pod, container, ports, variables = check_names(objects)
            check_limits(pod, variables)
            check_program(container, ports, variables)
            print(f"ok      Kubernetes: {name}")


if __name__ == "__main__":
    main()
