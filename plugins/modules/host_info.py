#!/usr/bin/python
# Copyright: (c) 2026, the local_llm.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Gather the state of a host
version_added: 0.1.0
author:
  - local_llm.fleet contributors (@local-llm)
description:
  - Reads in one round trip what the roles judge a host by - its clock, disks and sockets, its Docker Engine, the Compose
    project's containers and files - and tries addresses that it will have to fetch from.
  - It judges nothing, changes nothing, and returns no secret.
options:
  sections:
    description:
      - What is read, in one round trip. V(stack) is the Compose project, its containers, files and ports. V(gpus) and V(driver) are what
        M(local_llm.fleet.gpu_info) and M(local_llm.fleet.nvidia_driver_info) return, V(engine) what M(local_llm.fleet.ollama_model_info)
        returns. V(native_engine) and V(native_gateway) are Ollama and LiteLLM without containers, with their files and services.
    type: list
    elements: str
    choices: [stack, system, daemon, gpus, driver, engine, native_engine, native_gateway]
    default: [stack]
  project:
    description:
      - Name of the Compose project.
    type: str
    default: local-llm
  project_dir:
    description:
      - Folder of the Compose project.
    type: path
    default: /opt/local_llm
  containers:
    description:
      - Names of containers to read, whichever project they belong to. Those of O(project) are read anyway.
    type: list
    elements: str
    default: []
  networks:
    description:
      - Names of Docker networks to look for.
    type: list
    elements: str
    default: []
  ports:
    description:
      - Addresses that the stack publishes, or wants to.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description:
          - IP address to listen on. V(0.0.0.0) and V(::) are all of the host's.
        type: str
        required: true
      port:
        description:
          - TCP port.
        type: int
        required: true
  units:
    description:
      - Names of systemd units in C(/etc/systemd/system) to read.
    type: list
    elements: str
    default: []
  packages:
    description:
      - Names of packages whose versions are read, from dpkg or rpm.
    type: list
    elements: str
    default: []
  paths:
    description:
      - Folders whose file systems are measured. One that does not exist yet stands for the nearest above it that does.
    type: list
    elements: str
    default: []
  contents:
    description:
      - Names of files in O(project_dir) whose text is returned. None of them holds a secret.
    type: list
    elements: str
    choices: [compose.yml, config.yml, plan.json, engines.json]
    default: []
  environment:
    description:
      - Digests of values that variables of the environment file are compared with, by name - PBKDF2 with SHA-256 and 10000 rounds over
        the value, with O(environment_salt), in hexadecimal digits. So neither value is told.
    type: dict
    default: {}
  environment_salt:
    description:
      - What O(environment) was salted with. Use each once.
    type: str
    default: ""
  checksums:
    description:
      - Files whose checksum and date are returned.
    type: list
    elements: str
    default: []
  daemon_json:
    description:
      - Return the text of C(/etc/docker/daemon.json) with the section V(daemon). It may hold the password of a proxy.
    type: bool
    default: false
  config_hashes:
    description:
      - Whether Compose is asked for the checksums of its services, for C(current) of RV(containers). Without them each container
        counts as current.
    type: bool
    default: true
  engine_url:
    description:
      - Address of the engine that the section V(engine) asks.
    type: str
    default: http://127.0.0.1:11434
  native_engine:
    description:
      - Where V(native_engine) among the O(sections) is looked for.
    type: dict
    suboptions:
      dir:
        description: Folder with its versions.
        type: path
        required: true
      home:
        description: Folder with its models.
        type: path
        required: true
      user:
        description: User that it runs as.
        type: str
        required: true
      files:
        description: Files of its service.
        type: list
        elements: str
        default: []
  native_gateway:
    description:
      - Where V(native_gateway) among the O(sections) is looked for.
    type: dict
    suboptions:
      dir:
        description: Folder with its versions.
        type: path
        required: true
      python:
        description: Python that it runs with.
        type: path
        required: true
      user:
        description: User that it runs as.
        type: str
        required: true
      address:
        description: IP address that it listens on.
        type: str
        required: true
      port:
        description: TCP port that it listens on.
        type: int
        required: true
      env_file:
        description: File with its secrets.
        type: path
        required: true
      files:
        description: Files and folders of its service.
        type: list
        elements: str
        default: []
      ca_pem:
        description: Certificates of the site's own authorities. Their file is compared with it.
        type: str
  sources:
    description:
      - Addresses (HTTP or HTTPS) that must be reached. All are tried at the same time.
    type: list
    elements: str
    default: []
  package_sources:
    description:
      - Try the addresses of the host's APT sources, too.
    type: bool
    default: false
  proxy:
    description:
      - Proxy through which the sources are tried. Those of the environment are not used.
    type: str
  no_proxy:
    description:
      - Hosts and domains that are reached without O(proxy).
    type: list
    elements: str
    default: []
  ca_pem:
    description:
      - Certificates of authorities to trust besides the host's own, in PEM.
    type: str
  reference_time:
    description:
      - Seconds since 1970 on another machine's clock, to compare this one with.
    type: float
  timeout:
    description:
      - Seconds that a source, or a tool such as C(docker), may take to answer.
    type: int
    default: 10
attributes:
  check_mode:
    description: Can run in check mode and return the same as without it, because it changes nothing.
    support: full
  diff_mode:
    description: Has no difference to show, because it changes nothing.
    support: none
  platform:
    description:
      - Linux and macOS with Python 3.9 or newer. No other package is needed; Docker is read where it is. On macOS there are no units,
        packages, CDI specifications, nor listening sockets to read.
    support: full
    platforms: posix
notes:
  - Whose a listening socket is, and what the environment file holds, only root can read.
seealso:
  - module: local_llm.fleet.gpu_info
"""

EXAMPLES = r"""
- name: Read the host
  local_llm.fleet.host_info:
    ports: [{address: 127.0.0.1, port: 4444}]
    sources: [https://ghcr.io/v2/]
    reference_time: "{{ now().timestamp() }}"
  register: host

- name: Is the port free, or ours?
  ansible.builtin.assert:
    that: host.ports[0].state in ['free', 'ours']
    fail_msg: "Port {{ host.ports[0].port }} belongs to {{ host.ports[0].owner }}."
"""

RETURN = r"""
system:
  description: What the operating system says of itself.
  returned: when V(system) is one of the O(sections)
  type: dict
  contains:
    id:
      description: The C(ID) of C(/etc/os-release).
      type: str
      sample: debian
    like:
      description: Its C(ID_LIKE).
      type: str
      sample: "rhel centos fedora"
    version:
      description: Its C(VERSION_ID).
      type: str
      sample: "13"
    codename:
      description: Its C(VERSION_CODENAME).
      type: str
      sample: trixie
    base_codename:
      description: Its C(UBUNTU_CODENAME) or C(DEBIAN_CODENAME), the release that a derivative is made of.
      type: str
      sample: ""
    platform:
      description: Its C(PLATFORM_ID).
      type: str
      sample: ""
    name:
      description: Name and version, for messages.
      type: str
      sample: Debian 13
    package_tool:
      description: The tool that manages the host's packages - V(apt), V(dnf), V(zypper), V(pacman), V(yum), or empty.
      type: str
      sample: apt
    machine:
      description: What C(uname -m) says.
      type: str
      sample: x86_64
    kernel:
      description: What C(uname -s) says.
      type: str
      sample: Linux
daemon:
  description: The Docker daemon, and what its unit gives it on the command line.
  returned: when V(daemon) is one of the O(sections)
  type: dict
  contains:
    content:
      description: The text of C(daemon.json), where O(daemon_json) asks for it; empty where there is no such file.
      type: str
      sample: "{}"
    installed:
      description: Whether there is a C(dockerd).
      type: bool
      sample: true
    snap:
      description: Whether Docker is the snap package.
      type: bool
      sample: false
    version:
      description: Its version; empty where it does not answer.
      type: str
      sample: 26.1.5
    errors:
      description: Why it does not answer.
      type: list
      elements: str
      sample: []
    compose_version:
      description: Version of the Compose plugin; empty where there is none.
      type: str
      sample: 2.26.1
    data_root:
      description: The folder that it keeps its data in.
      type: str
      sample: /var/lib/docker
    log_driver:
      description: The log driver of new containers.
      type: str
      sample: json-file
    mirrors:
      description: The mirrors of Docker Hub that it runs with.
      type: list
      elements: str
      sample: ["http://mirror.example.com:5000/"]
    insecure:
      description: The registries that it knows, insecure ones among them.
      type: list
      elements: str
      sample: [docker.io]
    has_proxy:
      description: Whether it runs with a proxy.
      type: bool
      sample: false
    runtimes:
      description: The names of its runtimes.
      type: list
      elements: str
      sample: [runc]
    cdi:
      description: Whether it reads CDI specifications.
      type: bool
      sample: false
    applied:
      description: Whether it was started after C(daemon.json) was last written.
      type: bool
      sample: true
    unfinished:
      description: Whether a run was cut between writing C(daemon.json) and the start with it.
      type: bool
      sample: false
    flags:
      description:
        - The flags of its command line, as its unit would start it. A key of C(daemon.json) that is among them keeps it from starting.
      type: list
      elements: dict
      contains:
        flag:
          description: The flag's long name.
          type: str
          sample: log-driver
        key:
          description: The key of C(daemon.json) that means the same.
          type: str
          sample: log-driver
        values:
          description: Its values. A proxy's are left out, since they may hold a password.
          type: list
          elements: str
          sample: [journald]
        file:
          description: The file that names it; empty where none was found.
          type: str
          sample: /etc/systemd/system/docker.service.d/logs.conf
gpus:
  description: What M(local_llm.fleet.gpu_info) returns.
  returned: when V(gpus) is one of the O(sections)
  type: dict
  sample: {gpus: [], memory: {total_mib: 24105}, os: Debian 13, problems: []}
driver:
  description: What M(local_llm.fleet.nvidia_driver_info) returns, without C(files).
  returned: when V(driver) is one of the O(sections)
  type: dict
  sample: {platform: machine, cards: []}
engine:
  description: What M(local_llm.fleet.ollama_model_info) returns of one engine, or C(msg) with the reason why it does not answer.
  returned: when V(engine) is one of the O(sections)
  type: dict
  sample: {version: 0.40.2, models: [], missing: [], loaded: []}
checksums:
  description: Of each of O(checksums) C(sha256) (empty for a file that is not there) and C(modified) (seconds since 1970).
  returned: success
  type: dict
  sample: {}
user:
  description: Who reads, by name. Kept facts may be those of another.
  returned: when V(stack) is one of the O(sections)
  type: str
  sample: root
systemd:
  description: Whether systemd runs the host.
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: true
memory_mib:
  description: The host's memory in MiB. V(none) where it could not be read.
  returned: when V(stack) is one of the O(sections)
  type: int
  sample: 7812
clock_offset:
  description: Seconds by which the host's clock is ahead of O(reference_time). V(none) without one.
  returned: when V(stack) is one of the O(sections)
  type: float
  sample: -0.2
iptables:
  description: Whether the host has C(iptables).
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: true
ports:
  description: The O(ports), in their order.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    address:
      description: As it was given.
      type: str
      sample: 127.0.0.1
    port:
      description: As it was given.
      type: int
      sample: 4444
    state:
      description:
        - V(free), V(ours) when a container of O(project) has it, V(taken) when something else has, V(no_address) when
          the host has no such address.
      type: str
      sample: taken
    owner:
      description: What has the port. V(none) when it is free.
      type: str
      sample: python3 (process 812)
units:
  description: The O(units), by name.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {local-llm-firewall.service: {sha256: 9b1e…, enabled: true}}
  contains:
    sha256:
      description: Checksum of its file; empty where there is none.
      type: str
      sample: 9b1e…
    enabled:
      description: Whether it is started with the host.
      type: bool
      sample: true
paths:
  description: The O(paths), with what their file systems have.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    path:
      description: As it was given.
      type: str
      sample: /var/lib/docker
    exists:
      description: Whether it is a folder.
      type: bool
      sample: true
    free_mib:
      description: Free MiB.
      type: int
      sample: 51200
    total_mib:
      description: All MiB.
      type: int
      sample: 102400
    mode:
      description: Its permissions; empty where it does not exist.
      type: str
      sample: "0755"
    owner:
      description: Its owner's name; empty where it does not exist.
      type: str
      sample: root
sources:
  description: The O(sources), and those of the packages.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    url:
      description: The address.
      type: str
      sample: https://ghcr.io/v2/
    ok:
      description: Whether a server answered, with whatever status below 500.
      type: bool
      sample: false
    reason:
      description:
        - Why not - V(name), V(connection), V(certificate), V(plain) (HTTP where HTTPS was asked for), V(timeout), V(proxy) or
          V(server). V(none) when it answered.
      type: str
      sample: name
    detail:
      description: What was answered, or the error.
      type: str
      sample: "[Errno -2] Name or service not known"
docker:
  description: The Docker Engine. V(none) where there is no C(docker).
  returned: when V(stack) is one of the O(sections)
  type: dict
  contains:
    version:
      description: The Engine's version; empty when it does not answer.
      type: str
      sample: 26.1.5
    error:
      description: Why it does not answer.
      type: str
      sample: ""
    data_root:
      description: Where it keeps images and volumes.
      type: str
      sample: /var/lib/docker
    free_mib:
      description: Free MiB there.
      type: int
      sample: 51200
    firewall_backend:
      description: V(iptables) or V(nftables), as far as the Engine tells (from version 28 on); else empty.
      type: str
      sample: ""
    cdi:
      description: Whether the Engine hands devices to containers as CDI specifications name them.
      type: bool
      sample: true
    runtimes:
      description: The names of the runtimes that containers can be run by.
      type: list
      elements: str
      sample: [io.containerd.runc.v2, nvidia, runc]
    cgroup_driver:
      description: V(systemd) or V(cgroupfs).
      type: str
      sample: systemd
    networks:
      description: Those of O(networks) that are there, with the Compose project that made them.
      type: list
      elements: dict
      sample: [{name: litellm-network, project: local-llm}]
    volumes:
      description: The names of all volumes.
      type: list
      elements: str
      sample: [litellm_ollama_data, litellm_postgres_data]
packages:
  description: Those of O(packages) that are installed, by name.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {nvidia-container-toolkit: {version: 1.20.0-1, held: false}}
  contains:
    version:
      description: The package's version.
      type: str
      sample: 1.20.0-1
    held:
      description: Whether it is held back from upgrades.
      type: bool
      sample: false
cdi:
  description: The CDI specifications, which say how devices get into containers.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /var/run/cdi/nvidia.yaml
    kind:
      description: Whose and what kind of devices; empty where it could not be read.
      type: str
      sample: nvidia.com/gpu
    devices:
      description: The names of the devices.
      type: list
      elements: str
      sample: ["0", GPU-5f2e1c6a-0d3b-4b7e-9a44-1c1d7a2f8e90, all]
containers:
  description: The project's containers, and those of O(containers).
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: litellm
    service:
      description: The Compose service it is; empty when it is none.
      type: str
      sample: litellm
    project:
      description: The Compose project it belongs to; empty when it belongs to none.
      type: str
      sample: local-llm
    status:
      description: What Docker says of its state.
      type: str
      sample: running
    health:
      description: What its health check says; empty without one.
      type: str
      sample: healthy
    restarts:
      description: How often Docker has started it again.
      type: int
      sample: 0
    oom_killed:
      description: Whether it was ended for want of memory.
      type: bool
      sample: false
    published:
      description: The addresses at which its ports are published.
      type: list
      elements: str
      sample: ["127.0.0.1:4444"]
    definition:
      description: The label C(local-llm.definition), a checksum of all that the service was made of; empty without one.
      type: str
      sample: 3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf
    current:
      description: Whether it was made from the project as its file and its environment file describe it now, by Compose's own checksum.
      type: bool
      sample: true
    environment_differs:
      description: Which variables of the environment file have another value in this container.
      type: list
      elements: str
      sample: []
files:
  description: The files in O(project_dir), by name.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {compose.yml: {mode: "0644", owner: root, sha256: 1f0c…}}
contents:
  description: The text of the O(contents), by name. V(none) for a file that is not there.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {plan.json: '{"schema": 1, "status": "final"}'}
unfinished:
  description: Whether a run was cut between writing the project's files and the start with them.
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: false
project_dir:
  description: Mode and owner of O(project_dir). V(none) where there is none.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {mode: "0755", owner: root}
environment:
  description: What can be said of the environment file C(.env) without its secrets. V(none) where there is no such file.
  returned: when V(stack) is one of the O(sections)
  type: dict
  contains:
    names:
      description: The variables that have a value.
      type: list
      elements: str
      sample: [LITELLM_MASTER_KEY, LITELLM_SALT_KEY, POSTGRES_PASSWORD]
    same:
      description: The variables of O(environment) that have that value.
      type: list
      elements: str
      sample: []
    mounted:
      description: The variables that name a provider's file, by the path at which Compose mounts it.
      type: list
      elements: str
      sample: []
    unread_lines:
      description: The numbers of the lines for which Compose refuses the file.
      type: list
      elements: int
      sample: []
    expanded:
      description: The variables whose value names other variables, as in C($NAME), which Compose replaces.
      type: list
      elements: str
      sample: []
environment_in_containers:
  description: The secrets that the project's containers run with, by the names of the environment file.
  returned: when V(stack) is one of the O(sections)
  type: list
  elements: str
  sample: [LITELLM_MASTER_KEY, LITELLM_SALT_KEY, POSTGRES_PASSWORD]
secret_files:
  description: The files of providers in the folder C(secrets), as RV(files) has those of the project.
  returned: when V(stack) is one of the O(sections)
  type: dict
  sample: {}
firewall:
  description:
    - Whether the project's firewall rules are as they should be. V(none) where it has none, or where others than root could have
      written the script that tells.
  returned: when V(stack) is one of the O(sections)
  type: bool
  sample: true
native_engine:
  description: Ollama without a container.
  returned: when V(native_engine) is one of the O(sections)
  type: dict
  contains:
    installed:
      description: The version in use; empty without one.
      type: str
      sample: 0.40.2
    versions:
      description: The versions that are there.
      type: list
      elements: str
      sample: [0.40.2]
    started:
      description: Checksum of the settings and version of the last start that came to its end.
      type: list
      elements: str
      sample: [8c6f6ff6a0c9e7, 0.40.2]
    active:
      description: Whether its service runs.
      type: bool
      sample: true
    firewall:
      description: Whether the rules that close its port are in force.
      type: bool
      sample: false
    has_firewall_tool:
      description: Whether the host has what puts them in force.
      type: bool
      sample: true
    address:
      description: Where it listens, as its file says.
      type: str
      sample: 127.0.0.1:11434
    addresses:
      description: The host's addresses of IPv4.
      type: list
      elements: str
      sample: [127.0.0.1, 192.0.2.11]
    user:
      description: Its user with C(uid), C(shell), C(comment). V(none) where there is none.
      type: dict
      sample: {uid: 998, shell: /usr/sbin/nologin, comment: ""}
    home:
      description: Whether there is the folder with its models.
      type: bool
      sample: true
    above:
      description: Whether there is the folder above that.
      type: bool
      sample: true
    disk:
      description: The disk of the folder with its models, as RV(paths) tells of one.
      type: dict
      sample: {path: /var/lib/ollama, exists: true, free_mib: 118000, total_mib: 230000, mode: "0750", owner: ollama}
    foreign:
      description: Whether the host has a service of that name that is somebody else's.
      type: bool
      sample: false
    brewed:
      description: Whether Homebrew has installed it.
      type: bool
      sample: false
    sleep:
      description: A Mac's settings C(sleep) and C(autorestart), with all their values.
      type: dict
      sample: {sleep: ["0"], autorestart: ["1"]}
    release:
      description: Version of macOS; empty elsewhere.
      type: str
      sample: "15.6"
    python:
      description: The Python that this module runs with.
      type: str
      sample: /usr/bin/python3
    files:
      description: Mode, owner, date and checksum of its files, by path. Those that are not there are left out.
      type: dict
      sample: {/etc/systemd/system/ollama.service: {mode: "0644", owner: root, modified: 1795000000.0, sha256: 1f0c…}}
native_gateway:
  description: LiteLLM without a container.
  returned: when V(native_gateway) is one of the O(sections)
  type: dict
  contains:
    python:
      description: Its C(version), and whether it makes virtual environments (C(venv)). V(none) without one.
      type: dict
      sample: {version: [3, 13, 5], venv: true}
    user:
      description: Its user with C(uid), C(shell), C(comment). V(none) where there is none.
      type: dict
      sample: {uid: 997, shell: /usr/sbin/nologin, comment: Gateway of the local LLM stack}
    versions:
      description: The virtual environments that are there.
      type: list
      elements: str
      sample: [1.104.2-0123abcd]
    complete:
      description: Those of them that were installed to the end.
      type: list
      elements: str
      sample: [1.104.2-0123abcd]
    current:
      description: The one in use; empty without one.
      type: str
      sample: 1.104.2-0123abcd
    former:
      description: The one that was in use before; empty without one.
      type: str
      sample: ""
    files:
      description: Mode, owner, date and checksum of its files and folders, by path. Those that are not there are left out.
      type: dict
      sample: {/opt/litellm/start: {mode: "0755", owner: root, modified: 1795000000.0, sha256: 1f0c…}}
    disk:
      description: The disk of the folder with its versions, as RV(paths) tells of one.
      type: dict
      sample: {path: /opt/litellm, exists: true, free_mib: 118000, total_mib: 230000, mode: "0755", owner: root}
    service:
      description: Whether it is C(active), C(enabled), has C(ended), its C(pid), and when it was C(started) (seconds since 1970).
      type: dict
      sample: {active: true, enabled: true, ended: false, pid: 731, started: 1795000000.0}
    stale:
      description: Whether a file is newer than the process.
      type: bool
      sample: false
    answers:
      description: Whether it answers.
      type: bool
      sample: true
    port:
      description: Whether its port is V(free), V(ours), V(taken) or its address V(no_address), and the C(owner) of a port that is taken.
      type: dict
      sample: {state: ours, owner: ""}
    exported:
      description:
        - The variables in its file for macOS (C(names)), and those that have another value than the file with its secrets
          (C(other)).
      type: dict
      sample: {names: [], other: []}
    unfinished:
      description: Whether a run was cut between writing its files and the start with them.
      type: bool
      sample: false
    authorities:
      description: Whether its file with authorities is as it should be.
      type: bool
      sample: true
"""

import os
import ssl
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.local_llm.fleet.plugins.module_utils.gpu import machine
from ansible_collections.local_llm.fleet.plugins.module_utils.host import (
    Host,
    docker,
    native_engine,
    native_gateway,
    nvidia_driver,
    stack,
    system,
)
from ansible_collections.local_llm.fleet.plugins.module_utils.host.files import checksum
from ansible_collections.local_llm.fleet.plugins.module_utils.ollama_client import OllamaClient, OllamaError

SECTIONS = ["stack", "system", "daemon", "gpus", "driver", "engine", "native_engine", "native_gateway"]
ENGINE_TIMEOUT = 5  # seconds
READABLE = ("compose.yml", "config.yml", "plan.json", "engines.json")  # files of the project that hold no secret


def engine(url: str) -> dict[str, t.Any]:
    """Return what an engine has on its disk and in memory, or why it does not answer (``msg``)."""
    try:
        return OllamaClient(url, ENGINE_TIMEOUT).state()
    except OllamaError as error:
        return {"msg": str(error)}


def checksums(host: Host, paths: list[str]) -> dict[str, dict[str, t.Any]]:
    """Return checksum and date of files."""
    found = {}
    for path in paths:
        there = os.path.exists(host.path(path))
        found[path] = {"sha256": checksum(host.path(path)), "modified": os.stat(host.path(path)).st_mtime if there else None}
    return found


def read(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return what the module returns, for its parameters."""
    host, is_mac = Host(params["timeout"]), os.uname().sysname == "Darwin"
    readers: dict[str, t.Callable[[], dict[str, t.Any]]] = {
        "system": lambda: {**system.read(host), "machine": os.uname().machine, "kernel": os.uname().sysname},
        "daemon": lambda: {**docker.read(host), **({"content": host.text(docker.DAEMON_JSON) or ""} if params["daemon_json"] else {})},
        "gpus": lambda: machine.read(host),
        "driver": lambda: nvidia_driver.read(host, []),
        "engine": lambda: engine(params["engine_url"]),
        "native_engine": lambda: native_engine.read(host, params["native_engine"], is_mac),
        "native_gateway": lambda: native_gateway.read(host, params["native_gateway"], is_mac),
        "stack": lambda: stack.read(host, params),
    }
    # They wait for tools and services of the host most of the time.
    with ThreadPoolExecutor(len(readers)) as pool:
        jobs = {name: pool.submit(readers[name]) for name in readers if name in params["sections"]}
        found: dict[str, t.Any] = {name: job.result() for name, job in jobs.items() if name != "stack"}
        found.update(jobs["stack"].result() if "stack" in jobs else {})
    return {**found, "checksums": checksums(host, params["checksums"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sections": {"type": "list", "elements": "str", "choices": SECTIONS, "default": ["stack"]},
            "project": {"type": "str", "default": "local-llm"},
            "project_dir": {"type": "path", "default": "/opt/local_llm"},
            "containers": {"type": "list", "elements": "str", "default": []},
            "networks": {"type": "list", "elements": "str", "default": []},
            "ports": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"address": {"type": "str", "required": True}, "port": {"type": "int", "required": True}},
            },
            "units": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "str", "default": []},
            "contents": {"type": "list", "elements": "str", "choices": list(READABLE), "default": []},
            "environment": {"type": "dict", "default": {}},
            "environment_salt": {"type": "str", "default": ""},
            "checksums": {"type": "list", "elements": "str", "default": []},
            "daemon_json": {"type": "bool", "default": False},
            "config_hashes": {"type": "bool", "default": True},
            "engine_url": {"type": "str", "default": "http://127.0.0.1:11434"},
            "native_engine": {
                "type": "dict",
                "options": {
                    "dir": {"type": "path", "required": True},
                    "home": {"type": "path", "required": True},
                    "user": {"type": "str", "required": True},
                    "files": {"type": "list", "elements": "str", "default": []},
                },
            },
            "native_gateway": {
                "type": "dict",
                "options": {
                    "dir": {"type": "path", "required": True},
                    "python": {"type": "path", "required": True},
                    "user": {"type": "str", "required": True},
                    "address": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "env_file": {"type": "path", "required": True},
                    "files": {"type": "list", "elements": "str", "default": []},
                    "ca_pem": {"type": "str"},
                },
            },
            "sources": {"type": "list", "elements": "str", "default": []},
            "package_sources": {"type": "bool", "default": False},
            "proxy": {"type": "str", "no_log": True},
            "no_proxy": {"type": "list", "elements": "str", "default": []},
            "ca_pem": {"type": "str"},
            "reference_time": {"type": "float"},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    for name in ("native_engine", "native_gateway"):
        if name in module.params["sections"] and module.params[name] is None:
            module.fail_json(msg="the section %s needs the option %s" % (name, name))
    try:
        module.exit_json(changed=False, **read(module.params))
    except (OSError, ssl.SSLError) as error:
        module.fail_json(msg="could not read the host: %s" % error)


if __name__ == "__main__":
    main()
