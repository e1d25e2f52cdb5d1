# embed-sql.awk: makes C of SQL files.
#
#   awk -f scripts/embed-sql.awk src/ingest/checks/*.sql >checks.inc
#
# For each file it prints an initializer of AepQuery (see src/database/query.h).  A
# file holds a comment, and one query that runs as it is in psql, with psql
# variables as its parameters: :'login'.  They become $1, $2 ...; all else of the
# query arrives byte for byte.  The comment stays behind, but for a line
#
#   -- needs: pg_catalog.pg_hba_file_rules()
#
# that names a function which not everybody may call.
#
# What psql would read otherwise than the server, or the server otherwise with
# other settings, is refused: backslashes, variables without quotes, $1, $$ and
# comments in /* */.

function refuse(what) {
	print file ": " what >"/dev/stderr"
	failed = 1
	exit 1
}

# Sets query to the text with $n for its parameters, and count and parameter to those.
function number_parameters(text,   token, name, i) {
	query = ""
	count = 0
	# what can hide a parameter, or look like one, from left to right
	while (match(text, /--[^\n]*|'[^']*'|"[^"]*"|::|:'[A-Za-z_][A-Za-z_0-9]*'|:[^0-9 ]|[$\\'"]|\/\*/)) {
		token = substr(text, RSTART, RLENGTH)
		query = query substr(text, 1, RSTART - 1)
		text = substr(text, RSTART + RLENGTH)
		if (token ~ /^:'.*'$/) {
			name = substr(token, 3, length(token) - 3)
			for (i = 1; i <= count && parameter[i] != name; i++)
				;
			if (i > count) parameter[++count] = name
			token = "$" i
		}
		else if (token !~ /^(--|::$|'.*'$|".*"$)/ || token ~ /^[^-].*\\/)
			refuse("not allowed: " token)
		query = query token
	}
	query = query text
}

function c_string(text) {
	gsub(/[\\"?]/, "\\\\&", text) # two question marks could be a trigraph
	gsub(/\r/, "\\r", text)
	gsub(/\n/, "\\n\"\n\t\t\"", text)
	text = "\"" text "\""
	sub(/\n\t\t""$/, "", text)
	return text
}

# Prints the file that text is of.
function embed(   name, head, i) {
	name = file
	sub(/^.*\//, "", name)
	sub(/^[0-9]+_/, "", name)
	sub(/\.sql$/, "", name)
	if (!match(text, /^(--[^\n]*\n)+/)) refuse("no comment at its head says what it is for")
	head = substr(text, 1, RLENGTH)
	text = substr(text, RLENGTH + 1)
	sub(/^\n+/, "", text)
	number_parameters(text)

	print "{"
	print "\t.name = " c_string(name) ","
	if (match(head, /-- needs: [^\n]*/))
		print "\t.needs = " c_string(substr(head, RSTART + 10, RLENGTH - 10)) ","
	print "\t.text =\n\t\t" c_string(query) ","
	print "\t.parameter_count = " count ","
	if (count > 0) {
		printf "\t.parameters = (const size_t[]){"
		for (i = 1; i <= count; i++) printf "%sPARAMETER(%s)", (i > 1 ? ", " : ""), parameter[i]
		print "},"
	}
	print "},"
}

FNR == 1 {
	if (file != "") embed()
	file = FILENAME
	text = ""
}
{ text = text $0 "\n" }
END { if (!failed && file != "") embed() }
