"""Makes the first inputs of `sealed_open` from the vectors of the encrypted file: the files that are in them as text."""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus" / "sealed_open"
CORPUS.mkdir(parents=True, exist_ok=True)
for vector in sorted((HERE.parent / "tests" / "vectors" / "sealed").glob("*.json")):
    file = json.loads(vector.read_text())["file"]
    (CORPUS / vector.stem).write_bytes(bytes.fromhex(file))
    print(vector.stem)
