"""What Hooktide costs and carries on one machine: throughput, latency, CPU, memory, disk.

``python -m bench.throughput`` runs it all; ``docs/benchmarks.md`` says how to read it.
"""
