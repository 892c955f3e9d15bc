"""A chain of a prompt, a local model and a parser, with LangChain.

OPENAI_BASE_URL=http://host:4444/v1 OPENAI_API_KEY=sk-... python langchain_client.py MODEL [QUESTION]
"""

import os
import sys

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model=sys.argv[1], base_url=os.environ["OPENAI_BASE_URL"], temperature=0)
prompt = ChatPromptTemplate.from_messages([("system", "You answer in one sentence."), ("user", "{question}")])
chain = prompt | model | StrOutputParser()
print(chain.invoke({"question": sys.argv[2] if len(sys.argv) > 2 else "Say that you work."}))
