"""Prints what the pages load of scripts and styles: bytes of each file as it is served, compressed.

python -m benchmarks.weights
"""

from .goals import Results, weigh

if __name__ == "__main__":
    results = Results()
    weigh(results)
    for name, (weight,) in sorted(results.figures.items()):
        print(f"{weight:7,.0f}  {name}")
