"""Makes tokens with PyJWT, for the integration tests: speaks as issuer.mjs does, tokens alone."""

import json
import sys

import jwt

asked = json.load(sys.stdin)
tokens = [
    jwt.encode(token["claims"], token["key"], algorithm=token["alg"], headers=token.get("header"))
    for token in asked["tokens"]
]
json.dump(tokens, sys.stdout)
