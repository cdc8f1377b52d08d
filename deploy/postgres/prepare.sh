#!/bin/sh
# Prepares Regua's database in a PostgreSQL that answers: creates it when it is not there, then runs
# init.sql in it (roles, schemas, the law clock), as often as you like.
#
# In: PGHOST, PGUSER, PGPASSWORD_FILE, MODE, INIT_SQL, and URL_FOLDER with a file
# postgres_url_<service> for each service: the role's password is the one in that URL.
# Out: exit code 0, or one line that names what is wrong.
set -eu

complain() {
    echo "prepare: $1" >&2
    exit 1
}

PGPASSWORD=$(cat "$PGPASSWORD_FILE") || complain "PGPASSWORD_FILE cannot be read"
export PGPASSWORD
options="-c regua.mode=$MODE"
for service in scheduler sms_sender email_sender whatsapp_sender contact_ledger; do
    url=$(cat "$URL_FOLDER/postgres_url_$service") || complain "postgres_url_$service cannot be read"
    password=${url#*//*:}
    password=${password%%@*}
    case $password in
        '' | *[!A-Za-z0-9_-]*)
            complain "the password in postgres_url_$service must be letters, digits, - and _" ;;
    esac
    options="$options -c regua.password_$service=$password"
done

found=$(psql -X -q -At -d postgres -c "SELECT count(*) FROM pg_database WHERE datname = 'regua'")
[ "$found" = 1 ] || psql -X -q -d postgres -c 'CREATE DATABASE regua'
# Where only this process's environment shows them, not the list of processes.
PGOPTIONS=$options psql -X -q -v ON_ERROR_STOP=1 -d regua -f "$INIT_SQL"
mode=$(psql -X -q -At -d regua -c 'SELECT mode FROM platform.law_clock')
[ "$mode" = "$MODE" ] || complain "this database was made for $mode mode, not $MODE: set REGUA_MODE=$mode"
echo "prepare: database regua is ready in $mode mode"
