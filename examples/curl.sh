#!/bin/sh
# One question with curl: the models first, then a streamed answer.
#   OPENAI_BASE_URL=http://host:4444/v1 OPENAI_API_KEY=sk-... examples/curl.sh MODEL QUESTION
set -eu
: "${OPENAI_BASE_URL:?}" "${OPENAI_API_KEY:?}"
model=${1:?which model?} question=${2:-Say in one sentence that you work.}

# By standard input, because a process list shows the command line.
ask() {
  printf 'header = "Authorization: Bearer %s"\n' "$OPENAI_API_KEY" | curl --fail-with-body --silent --show-error --config - "$@"
}

ask "$OPENAI_BASE_URL/models"
echo
# The question goes in as it is: mind quotes and backslashes, or make the JSON with jq.
ask --no-buffer "$OPENAI_BASE_URL/chat/completions" --header 'Content-Type: application/json' \
  --data "{\"model\": \"$model\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"$question\"}]}"
