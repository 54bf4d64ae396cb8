"""Whether one writer connection saturates: 1, 2 and 4 commits in flight from one process, then 1, 2 and 4 processes.

``python -m benchmarks.prototypes.postgres.writers``
"""

from benchmarks.prototypes.postgres.committing import Load, in_processes, told
from benchmarks.prototypes.postgres.server import running

ROUNDS = 2


def main() -> None:
    with running() as cluster:
        print(f"PostgreSQL {cluster.version()}, settings untouched")
        for clients in (1, 16, 128, 1024):
            for _ in range(ROUNDS):
                for batch_max, writers in ((512, 1), (64, 1), (64, 2), (64, 4)):
                    if writers == 1 or batch_max < clients:
                        load = Load(cluster.url, clients, writers, batch_max=batch_max, work=40e-6)
                        line = told(in_processes(load, 1))
                        print(f"{clients:5} clients, {writers} writers of at most {batch_max:3}: {line}", flush=True)
        for _ in range(ROUNDS):
            for processes in (1, 2, 4):
                load = Load(cluster.url, 256 // processes)
                print(f"  256 clients, {processes} processes: {told(in_processes(load, processes))}", flush=True)


if __name__ == "__main__":
    main()
