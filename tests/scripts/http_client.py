"""What a program in Python asks of the service: `http_client.py URL`. Needs httpx; ends with 1 at the first surprise."""

import base64
import hashlib
import json
import struct
import sys

import httpx


def file():
    """A bar of quarter notes and half a note more, at 120 a minute."""
    track = b""
    for key in (60, 64, 67, 72, 60):
        track += bytes([0, 0x90, key, 96, 96, 0x80, key, 0])
    track += bytes([0, 0xFF, 0x2F, 0])
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 96) + b"MTrk" + struct.pack(">I", len(track)) + track


def midi(text):
    data = base64.b64decode(text, validate=True)
    assert text.startswith("TVRoZ") and data.startswith(b"MThd"), data[:8]
    return data


def music(client, **wishes):
    answer = client.post("/predict", json=wishes)
    assert answer.status_code == 200, answer.text
    done = answer.json()
    for number, one in enumerate(done["variations"]):
        assert one["variation_id"] == number and one["num_events"] > 0
        assert hashlib.sha256(midi(one["midi_base64"])).hexdigest() == one["output_hash"]
    assert done["midi_output"] == done["variations"][0]["midi_base64"]
    return done


def one_by_one(client, given):
    # As the Python service of old was asked: its names, its defaults, a size that may not be here.
    done = music(client, task="generate", length_seconds=3, top_p=0.9, model_size="small", client_job_id="a:1")
    assert done["task"] == "generate" and done["metadata"]["client_job_id"] == "a:1"
    assert len(music(client, length_seconds=2, num_variations=3)["variations"]) == 3
    done = music(client, task="continue", midi_input=given, prime_seconds=2, length_seconds=3)
    assert done["prime_seconds"] == 2 and done["variations"][0]["duration_seconds"] == 5
    done = music(client, task="continue", midi_input=given, prime_seconds=60, length_seconds=3)
    assert done["prime_seconds"] == 4, "to the bar line after the file"
    told = client.post("/predict", json={"task": "embed", "midi_input": given}).json()
    assert len(told["embedding"]) == told["embedding_dim"] and told["layer"] == -3
    assert told["embeddings"] == told["embedding"] and not told["truncated"]


def refused(client, given):
    for wishes, place in (
        ({"task": "continue"}, "midi_input"),
        ({"task": "continue", "midi_input": "?"}, "midi_input"),
        ({"task": "continue", "midi_input": base64.b64encode(b"RIFF").decode()}, "midi_input"),
        ({"length_seconds": 121}, "length_seconds"),
        ({"top_p": 1.5}, "top_p"),
        ({"model_size": "huge"}, "model_size"),
        ({"task": "embed", "midi_input": given, "embed_layer": 99}, "embed_layer"),
    ):
        answer = client.post("/predict", json=wishes)
        problem = answer.json()
        assert answer.status_code == 422 and problem["error"] == "invalid_request", answer.text
        assert place in problem["detail"][0]["loc"] and problem["request_id"] == answer.headers["x-request-id"]


def streamed(client):
    wishes = {"length_seconds": 8, "seed": 5}
    words, last = [], b""
    with client.stream("POST", "/generate/stream", json=wishes) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data:"):
                words.append(json.loads(line[5:]))
    assert [word["type"] for word in words][0] == "start" and words[-1]["type"] == "complete"
    shares = [word["percent"] for word in words if word["type"] == "progress"]
    assert shares and shares == sorted(shares) and shares[-1] <= 100
    assert words[-1]["output_hash"] == music(client, **wishes)["output_hash"]
    return words[-1]["output_hash"]


def later(client, known):
    job = client.post("/jobs", json={"task": "continue", "input_hash": known, "length_seconds": 3}).json()
    assert job["status"] == "pending"
    job = client.get(f"/jobs/{job['job_id']}", params={"wait": 60}).json()
    assert job["status"] == "complete", job
    made = client.get(f"/cas/{job['result']['output_hash']}")
    assert made.headers["etag"].strip('"') == job["result"]["output_hash"] and made.content.startswith(b"MThd")
    both = client.post("/batch", json={"operations": [{"id": "x", "length_seconds": 2}, {"id": "y", "top_p": 9}]})
    first, second = both.json()["results"]
    assert first["id"] == "x" and first["status"] == "success" and second["id"] == "y" and second["error"]


def main(url):
    with httpx.Client(base_url=url, timeout=300) as client:
        assert client.get("/health").json() == {"status": "ok", "service": "anticipatory", "version": "2.0.0"}
        given = base64.b64encode(file()).decode()
        one_by_one(client, given)
        refused(client, given)
        later(client, streamed(client))


main(sys.argv[1])
