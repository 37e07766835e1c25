"""What a hostile build script tries to get at: credentials in environments and in memory, and the Runtime API.

Prints one line for each attempt, `what: result`, and whatever it has read between them.
"""

import ctypes
import os
import socket


def attempt(what, act):
    try:
        print(f"{what}: got", act() or "nothing")
    except OSError as error:
        print(f"{what}: {error.strerror or error}")


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


def text(path):
    with open(path, "rb") as file:
        return file.read(1 << 20).replace(b"\0", b"\n").decode(errors="replace")


def memory(pid):
    with open(f"/proc/{pid}/mem", "rb"):
        return "opened"


def attach(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, None, None) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.waitpid(pid, 0x40000000)
    libc.ptrace(17, pid, None, None)  # PTRACE_DETACH
    return "attached"


def peek(pid):
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(8)
    here, there = Vector(ctypes.addressof(buffer), 8), Vector(0x10000, 8)
    read = libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    # An address that is not mapped is another error than a process that may not be looked into.
    if read < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "read"


def listening():
    with open("/proc/net/tcp") as table:
        for line in list(table)[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if state == "0A" and address == "0100007F":
                yield int(port, 16)


def runtime_api(port):
    # A path that the Runtime API does not have: asking for an event would take one from whoever it is for.
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.settimeout(2)
        connection.sendall(b"GET /2018-06-01/runtime/none HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return b"Runtime API" in connection.recv(4096) and "reached"


print("own environment:")
for name, value in os.environ.items():
    print(f"  {name}={value}")
print(f"user: {os.getuid()}")
ancestor, distance = os.getppid(), 1
is_function = False
# What is above the function is Lambda's; here it is whoever runs the tests.
while ancestor > 1 and not is_function:
    is_function = " function " in text(f"/proc/{ancestor}/cmdline").replace("\n", " ")
    if is_function:
        print(f"function: {distance}")
    print(f"ancestor {distance}: {text(f'/proc/{ancestor}/cmdline').strip().replace(chr(10), ' ')}")
    attempt(f"environment of {distance}", lambda: text(f"/proc/{ancestor}/environ"))
    for task in os.listdir(f"/proc/{ancestor}/task")[:3]:
        attempt(f"environment of a thread of {distance}", lambda: text(f"/proc/{ancestor}/task/{task}/environ"))
    attempt(f"memory of {distance}", lambda: memory(ancestor))
    attempt(f"memory map of {distance}", lambda: text(f"/proc/{ancestor}/maps")[:100])
    attempt(f"attaching to {distance}", lambda: attach(ancestor))
    attempt(f"peeking into {distance}", lambda: peek(ancestor))
    attempt(f"files of {distance}", lambda: str(os.listdir(f"/proc/{ancestor}/fd")))
    ancestor, distance = parent(ancestor), distance + 1
for port in listening():
    attempt("Runtime API", lambda: runtime_api(port))
