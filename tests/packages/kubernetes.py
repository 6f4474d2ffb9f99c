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
import urllib.parse
import urllib.request

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/kubernetes"
FACADE, KUSTOMIZE = map(os.path.realpath, sys.argv[1:])

# The oldest one that is still looked after by anybody, and the newest one.
VERSIONS = ["1.29", "1.34"]

FACADE_NAME = "videoconf-facade"
STORE = "videoconf-facade-store"

# Of the store, here.
PASSWORD = "secret"

# What Rocket.Chat allows an address in three seconds.
UPSTREAM_LIMIT = 15

SECONDS = re.compile(r"(\d+)s")
MEBIBYTES = re.compile(r"(\d+)Mi")

# Who may come to which port, and where the pods may go: the name service, Rocket.Chat, and a collector of traces.
INGRESS = [
    {"from": [{"podSelector": {}}], "ports": [{"port": "grpc"}]},
    {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "ports": [{"port": "admin"}],
    },
]
NAME_SERVICE = {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]}
EGRESS = [
    {
        "to": [{"namespaceSelector": {}, "podSelector": NAME_SERVICE}],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    },
    {"ports": [{"port": 443}, {"port": 3000}, {"port": 4317}, {"port": 4318}]},
]


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


def only(objects, kind):
    found = of_kind(objects, kind)
    check(f"{len(found)} of {kind}", len(found) == 1)
    return found[0]


def check_names(objects):
    """What names another one names one that there is."""
    deployment = only(objects, "Deployment")
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    labels = template["metadata"]["labels"]
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [it["spec"]["selector"] for it in of_kind(objects, "Service")]
    selectors += [only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]]
    selectors += [only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    selectors += [it["labelSelector"]["matchLabels"] for it in template["spec"]["topologySpreadConstraints"]]
    for selector in selectors:
        check(f"{selector} isn't the pods' labels", selector == labels)
    mounted = tuple(it["mountPath"] + "/" for it in container.get("volumeMounts", []))
    config = only(objects, "ConfigMap")
    for name, value in config["data"].items():
        check(f"nothing is at {name}={value}", not value.startswith("/") or value.startswith(mounted))
    check("other variables", container["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}])
    check("not what the image runs", not {"args", "command"} & set(container))
    # By its contents, so that a change starts new pods.
    check("a change is noticed by nobody", config["metadata"]["name"] != FACADE_NAME)
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    check(f"{container['image']} isn't {version}", container["image"] == f"{FACADE_NAME}:{version}")
    return deployment["spec"], container, config["data"]


def check_ports(objects, container, variables):
    """The same port from the program to the client, in what is spoken there, and for probes and Prometheus."""
    ports = {it["name"]: it["containerPort"] for it in container["ports"]}
    check("other protocols", all(set(it) == {"name", "containerPort"} for it in container["ports"]))
    for name, variable in [("grpc", "VIDEOCONF_LISTEN"), ("admin", "VIDEOCONF_ADMIN_LISTEN")]:
        check(f"{variable} isn't {name}", variables[variable] == f"0.0.0.0:{ports[name]}")
    services = {it["metadata"]["name"]: it["spec"] for it in of_kind(objects, "Service")}
    check(f"{list(services)}", set(services) == {FACADE_NAME, f"{FACADE_NAME}-balanced"})
    check("clients don't see all pods", services[FACADE_NAME]["clusterIP"] == "None")
    port = {"name": "grpc", "port": ports["grpc"], "targetPort": "grpc"}
    # What gateways and meshes would speak.
    spoken = {} if "VIDEOCONF_TLS_CERT" in variables else {"appProtocol": "kubernetes.io/h2c"}
    for name, service in services.items():
        check(f"{name}: {service['ports']}", service["ports"] == [port | spoken])
        check(f"{name} is for everybody", "type" not in service)
    for probe, path in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        check(probe, container[probe]["httpGet"] == {"path": path, "port": "admin"})
    annotations = only(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(ports["admin"])}
    check("Prometheus scrapes something else", annotations == scraped)


def check_network(policy, of_store, url):
    check("not all directions", policy["policyTypes"] == ["Ingress", "Egress"])
    check(f"no way to {url}", {"port": urllib.parse.urlsplit(url).port} in EGRESS[1]["ports"])
    check(f"others may come: {policy['ingress']}", policy["ingress"] == INGRESS)
    check(f"the pods may go elsewhere: {policy['egress']}", policy["egress"] == EGRESS + of_store)


def check_restricted(pod):
    """What Pod Security's "restricted" asks for, and no way around it."""
    [container] = pod["containers"]
    own = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    check("not restricted", container["securityContext"] == own)
    of_pod = dict(pod["securityContext"])
    of_pod.pop("fsGroup", None)
    user = of_pod["runAsUser"]
    restricted = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "seccompProfile": {"type": "RuntimeDefault"}}
    check("may be root, or make any system call", user > 0 and of_pod == restricted)
    check("the host's", not [it for it in pod if it.startswith("host")])
    check("a token for Kubernetes' API", pod["automountServiceAccountToken"] is False)
    check("variables of other services", pod["enableServiceLinks"] is False)
    has, may = (MEBIBYTES.fullmatch(container["resources"][it]["memory"]) for it in ("requests", "limits"))
    check("no bound of memory", has and may and 2 * int(has[1]) <= int(may[1]))


def check_secrets(pod):
    """Files of secrets can be read by the program, and by nobody else; and they follow the secret."""
    [container] = pod["containers"]
    volumes = {it["name"]: it["secret"] for it in pod.get("volumes", [])}
    mounts = container.get("volumeMounts", [])
    check("a mount without a volume", {it["name"] for it in mounts} == set(volumes))
    for mount in mounts:
        is_read_only = mount.get("readOnly") is True
        check(f"{mount} can be written, or stands still", is_read_only and set(mount) == {"name", "mountPath", "readOnly"})
    for secret in volumes.values():
        check(f"{secret} can't be read, or by others", secret["defaultMode"] == 0o440)
        check("the group has no secrets", pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"])
    return {it["secretName"] for it in volumes.values()}


def check_life(deployment, variables, budget, is_shared):
    """A pod has time to leave, another one is there before, and all together keep to Rocket.Chat's limit."""
    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    notice, drain = (int(SECONDS.fullmatch(variables[f"VIDEOCONF_{it}"])[1]) for it in ("SHUTDOWN_NOTICE", "DRAIN_TIMEOUT"))
    ready = container["readinessProbe"]
    check("others hear too late that it leaves", notice >= ready["periodSeconds"] * ready["failureThreshold"] + 5)
    check(f"{notice + drain + 5} s to leave", pod["terminationGracePeriodSeconds"] > notice + drain + 5)
    alive = container["livenessProbe"]
    check("killed at once", alive["periodSeconds"] * alive.get("failureThreshold", 3) >= 30 and alive["timeoutSeconds"] >= 3)
    check("ready late", "initialDelaySeconds" not in ready)
    check("fewer while they change", deployment["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    check(f"evicted: {budget}", {it: budget[it] for it in budget if it != "selector"} == {"maxUnavailable": 1})
    [spread] = pod["topologySpreadConstraints"]
    where = {"topologyKey": "kubernetes.io/hostname", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    check("not spread", {it: spread[it] for it in spread if it != "labelSelector"} == where)
    limit = int(re.fullmatch(r"(\d+)/3s", variables["VIDEOCONF_UPSTREAM_LIMIT"])[1])
    count = deployment["replicas"]
    used = limit if is_shared else limit * count
    check(f"{count} times {limit} of {UPSTREAM_LIMIT}", count > 1 and UPSTREAM_LIMIT - count < used <= UPSTREAM_LIMIT)


def check_program(variables, instead, ready):
    """The program takes the variables, some with values for here, serves, is alive, and is ready with these words."""
    known = subprocess.run([FACADE, "serve", "--help"], check=True, capture_output=True, text=True).stdout
    for name in variables:
        check(f"no variable {name}", re.search(rf"env:\s+{name}\]", known))
    here = {**variables, "VIDEOCONF_LISTEN": "127.0.0.1:0", "VIDEOCONF_ADMIN_LISTEN": "127.0.0.1:0", **instead}
    facade = subprocess.Popen([FACADE, "serve"], env={**os.environ, **here}, stderr=subprocess.PIPE, text=True)
    try:
        said = {}
        while "serving operators" not in said:
            line = facade.stderr.readline()
            check(f"it doesn't serve: {line}", line.startswith("{"))
            said[json.loads(line)["message"]] = json.loads(line)
        has_tls = said["serving"]["tls"] != "off"
        check("tokens come in clear", has_tls == ("VIDEOCONF_TLS_CERT" in variables))
        admin = said["serving operators"]["listen"]
        check("it isn't alive", asked(f"http://{admin}/livez")[0] == 200)
        for _ in range(100):
            if asked(f"http://{admin}/readyz") == (200, ready):
                break
            time.sleep(0.1)
        check(f"{asked(f'http://{admin}/readyz')}", asked(f"http://{admin}/readyz") == (200, ready))
    finally:
        facade.kill()  # it would wait for VIDEOCONF_SHUTDOWN_NOTICE
        facade.wait()


def asked(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


def files(folder, variables):
    """What the secrets have that users make, and the variables for where that is here."""
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=facade".split()
    place = ["-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.crt"]
    subprocess.run(["openssl", *request, *place], check=True, capture_output=True)
    (pathlib.Path(folder) / "key").write_text("k" * 64)
    (pathlib.Path(folder) / "password").write_text(PASSWORD)
    return {name: f"{folder}/{pathlib.Path(it).name}" for name, it in variables.items() if it.startswith("/")}


def check_store(objects, secrets, url):
    """The store has the name and the port that the facade asks for, its password, and lets the facade in and nobody
    else."""
    deployment, service, policy = (only(objects, it)["spec"] for it in ("Deployment", "Service", "NetworkPolicy"))
    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    check_restricted(pod)
    labels = deployment["template"]["metadata"]["labels"]
    for selector in [deployment["selector"]["matchLabels"], service["selector"], policy["podSelector"]["matchLabels"]]:
        check(f"{selector} isn't the store's labels", selector == labels)
    [port] = container["ports"]
    check(f"other ports: {port}", set(port) == {"name", "containerPort"})
    check("others may come", "type" not in service and policy["policyTypes"] == ["Ingress", "Egress"])
    facades = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": FACADE_NAME}}}]
    check("others may come", policy["ingress"] == [{"from": facades, "ports": [{"port": port["name"]}]}])
    check("it may go somewhere", "egress" not in policy)
    number = port["containerPort"]
    check(f"{service['ports']}", service["ports"] == [{"name": "store", "port": number, "targetPort": port["name"]}])
    for probe in ("livenessProbe", "readinessProbe"):
        check(probe, container[probe]["tcpSocket"] == {"port": port["name"]})
    check(f"nothing is at {url}", url == f"redis://{STORE}:{number}")
    [password] = container["env"]
    check("no password", {password["valueFrom"]["secretKeyRef"]["name"]} == secrets)
    check("no password", password["valueFrom"]["secretKeyRef"]["key"] == "password")
    one_at_a_time = (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    check("two stores at a time", one_at_a_time)
    check(container["image"], re.fullmatch(r"valkey/valkey:\d+\.\d+-alpine", container["image"]))
    return container, [{"to": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": number}]}]


def run_store(container, folder):
    """As the manifest has it, but for where it listens. Redis takes what Valkey does."""
    instead = f"redis-server - --port 0 --unixsocket {folder}/socket --dir {folder}"
    command = container["args"][0].replace("valkey-server -", instead, 1)
    environment = {it["name"]: PASSWORD for it in container["env"]} | {"PATH": os.environ["PATH"]}
    return subprocess.Popen([*container["command"], command], env=environment, stdout=subprocess.DEVNULL)


def check_settings(container, folder):
    """It forgets what is old before it is full, and writes nothing to disk."""
    command = ["redis-cli", "-s", f"{folder}/socket", "-a", PASSWORD, "--no-auth-warning", "--json", "CONFIG", "GET", "*"]
    settings = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    has = {it: settings[it] for it in ("save", "appendonly", "maxmemory-policy")}
    check(f"{has}", has == {"save": "", "appendonly": "no", "maxmemory-policy": "allkeys-lru"})
    limit = int(MEBIBYTES.fullmatch(container["resources"]["limits"]["memory"])[1])
    check("more memory than it may have", 0 < int(settings["maxmemory"]) <= 0.8 * limit * 2**20)


def check_all(objects):
    check_schemas(objects)
    store = [it for it in objects if is_of_store(it)]
    objects = [it for it in objects if not is_of_store(it)]
    deployment, container, variables = check_names(objects)
    pod = deployment["template"]["spec"]
    check_ports(objects, container, variables)
    check_restricted(pod)
    check_life(deployment, variables, only(objects, "PodDisruptionBudget")["spec"], bool(store))
    secrets = check_secrets(pod)
    policy = only(objects, "NetworkPolicy")["spec"]
    with tempfile.TemporaryDirectory() as folder:
        here = files(folder, variables)
        if not store:
            check_network(policy, [], variables["VIDEOCONF_UPSTREAM_URL"])
            return check_program(variables, here, "ok\n")
        container, way = check_store(store, secrets, variables["VIDEOCONF_SHARED_STORE"])
        check_network(policy, way, variables["VIDEOCONF_UPSTREAM_URL"])
        process = run_store(container, folder)
        try:
            here |= {"VIDEOCONF_SHARED_STORE": f"unix://{folder}/socket"}
            check_program(variables, here, "ok\nshared store: reached, 1 replicas\n")
            check_settings(container, folder)
            process.terminate()
            check("the store doesn't end as it is asked to", process.wait(10) == 0)
        finally:
            process.kill()
            process.wait()


def check_words(name, secret, files):
    """Users are told of the secret that they have to make."""
    text = (BASE / name / "kustomization.yaml").read_text()
    words = " ".join(line for line in text.splitlines() if line.startswith("#"))
    for it in [secret, *files]:
        check(f"{name}: nobody is told of {it}", it in words)
    check(f"{name}: {secret} isn't used", f"secretName: {secret}" in text)


def main():
    check_words("tls", "videoconf-facade-tls", ["tls.crt", "tls.key"])
    check_words("shared-store", STORE, ["--from-literal=key=", "--from-literal=password="])
    for name, objects in [
        ("base", built(BASE)),
        ("with TLS", with_component("tls")),
        ("with a shared store", with_component("shared-store")),
    ]:
        check_all(objects)
        print(f"ok      Kubernetes: {name}")


if __name__ == "__main__":
    main()
