# serves y = w x
"$SHUMAI_BIN_DIR/seed_server" "$PORT"
