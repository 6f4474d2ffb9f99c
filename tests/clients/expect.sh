# Sourced by the checks with tools: what they show, line by line.
passed=0

# expect NAME TEXT COMMAND...: the command's output has TEXT.
expect() {
  local name=$1 text=$2 output
  shift 2
  output=$("$@" 2>&1) || true
  if [[ $output != *"$text"* ]]; then
    printf 'FAILED %s\nexpected: %s\ngot: %s\n' "$name" "$text" "$output"
    exit 1
  fi
  printf 'ok      %s\n' "$name"
  passed=$((passed + 1))
}

all_passed() { printf '%d passed, 0 failed\n' "$passed"; }
