"""Run by a plain interpreter: plays random calls on the official package in the folder given, and prints them."""

import json
import sys
import warnings

if __name__ == "__main__":
    folder, here, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path[:0] = [folder, here]
    # It warns of every event that came early.
    warnings.simplefilter("ignore")
    import random_calls

    import azure.durable_functions as df

    assert df.__file__.startswith(folder), df.__file__
    plays = [random_calls.play(df, seed) for seed in range(count)]
    batches = [random_calls.call_entity(df, seed) for seed in range(count)]
    json.dump({"plays": plays, "batches": batches}, sys.stdout)
