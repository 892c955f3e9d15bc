"""A chat, streamed, and an embedding where the gateway has a model for it, with OpenAI's own client.

OPENAI_BASE_URL=http://host:4444/v1 OPENAI_API_KEY=sk-... python openai_client.py MODEL [QUESTION]
"""

import sys

import openai

model = sys.argv[1]
question = sys.argv[2] if len(sys.argv) > 2 else "Say in one sentence that you work."
client = openai.OpenAI()  # address and key from the environment

names = [entry.id for entry in client.models.list()]
print("models:", ", ".join(names))

for chunk in client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()

if "bge-m3" in names:
    vector = client.embeddings.create(model="bge-m3", input=question, encoding_format="float").data[0].embedding
    print("embedding:", len(vector), "dimensions")

try:
    client.with_options(api_key="sk-this-is-nobodys-key").models.list()
except openai.APIStatusError as error:
    print("a wrong key:", error.status_code)
