# PGXS makefile of the extension aep.
#
#   make && sudo make install && make installcheck
#
# needs the development files of PostgreSQL, libcurl, OpenSSL and cJSON.  scripts/check
# installs them and runs every test.

# packages are built outside the sources, with -f
ifndef srcdir
srcdir := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
endif

EXTENSION = aep
# the one place that holds the version is the control file
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(srcdir)/aep.control)

MODULE_big = aep
OBJS = $(patsubst $(srcdir)/%.c,%.o,$(sort $(wildcard $(srcdir)/src/*.c $(srcdir)/src/*/*.c)))
# in sql/, a name with "--" is an install or upgrade script, any other a test
DATA = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/sql/aep--*.sql))
REGRESS = setup options privileges endpoint request
# made from SQL files, see below
QUERIES = $(addprefix $(CURDIR)/src/,database/checks.inc ingest/checks.inc ingest/relations.inc \
	ingest/hba_lines.inc sql/version.inc)
EXTRA_CLEAN = $(QUERIES)

PG_CPPFLAGS = -I$(srcdir)/src -I$(CURDIR)/src $(shell pkg-config --cflags libcurl openssl libcjson) -DAEP_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -fvisibility=hidden
SHLIB_LINK = $(shell pkg-config --libs libcurl openssl libcjson)

# Bitcode is for functions worth inlining into an expression; these wait for a
# network.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# PGXS knows of headers only where PostgreSQL was configured to; ours are few.
$(OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h) $(QUERIES)

# Nor does it make the folders for the objects when it builds outside the sources.
OBJECT_DIRS = $(addprefix $(CURDIR)/,$(sort $(dir $(OBJS))))
$(OBJS) $(QUERIES): | $(OBJECT_DIRS)
$(OBJECT_DIRS):
	mkdir -p $@

# The queries of an SQL file, or of a folder, which is newer when one is gone.
$(CURDIR)/src/database/checks.inc: $(srcdir)/src/database/checks $(wildcard $(srcdir)/src/database/checks/*.sql)
$(CURDIR)/src/ingest/checks.inc: $(srcdir)/src/ingest/checks $(wildcard $(srcdir)/src/ingest/checks/*.sql)
$(CURDIR)/src/ingest/relations.inc: $(srcdir)/src/ingest/relations.sql
$(CURDIR)/src/ingest/hba_lines.inc: $(srcdir)/src/ingest/hba_lines.sql
$(CURDIR)/src/sql/version.inc: $(srcdir)/src/sql/version.sql
$(QUERIES): $(srcdir)/scripts/embed-sql.awk
	LC_ALL=C awk -f $< $(sort $(filter %.sql,$^)) >$@

# The TAP tests start servers of their own and need PostgreSQL's Perl modules
# and IPC::Run, so plain installcheck does not run them.  With DESTDIR they use
# the PostgreSQL there.
PROVE_TESTS ?= $(sort $(wildcard $(srcdir)/t/*.pl))
.PHONY: tapcheck unitcheck check-asan check-valgrind check-coverage dist format tidy cppcheck
tapcheck:
	rm -rf '$(CURDIR)/tmp_check'
	mkdir -p '$(CURDIR)/tmp_check/log'
	TESTDIR='$(CURDIR)' TESTDATADIR='$(CURDIR)/tmp_check' TESTLOGDIR='$(CURDIR)/tmp_check/log' \
	  PATH="$(DESTDIR)$(bindir):$$PATH" PG_REGRESS='$(top_builddir)/src/test/regress/pg_regress' \
	  $(PROVE) -I $(top_srcdir)/src/test/perl -I $(srcdir)/test/perl $(PROVE_FLAGS) $(PROVE_TESTS)

# Layer 0 without a server, under the sanitizers.
unitcheck:
	$(MAKE) -C $(srcdir)/test/unit check

# The extension in the server, under the sanitizers and under valgrind; what the
# tests run of it.
check-asan check-valgrind check-coverage:
	$(srcdir)/scripts/$@

# aep-VERSION.zip, as PGXN takes it, of what is committed.
dist:
	$(srcdir)/scripts/dist

format:
	clang-format -i $(wildcard $(addprefix $(srcdir)/,src/*.[ch] src/*/*.[ch] test/*.c test/*/*.[ch] bench/*.[ch]))

# What finds bugs without running the code; nothing may be found.  .clang-tidy
# and .cppcheck say what is left out, and why.
LINTED = $(wildcard src/*.c src/*/*.c test/*.c test/*/*.c bench/*.c)
LINT_CPPFLAGS = -Itest/unit -I$(includedir_server) -D_GNU_SOURCE $(PG_CPPFLAGS)
tidy: $(QUERIES)
	printf '%s\n' $(LINTED) | xargs -P $$(nproc) -I{} \
	  clang-tidy --quiet {} -- -std=gnu99 $(LINT_CPPFLAGS)

# cppcheck knows no compiler's macros, and the server's headers ask for these.
cppcheck: $(QUERIES)
	cppcheck -j $$(nproc) --quiet --error-exitcode=1 --std=c99 \
	  --enable=warning,style,performance,portability --suppressions-list=.cppcheck \
	  -D__STDC__=1 -D__GNUC__=4 -D__$$(uname -m)__ $(LINT_CPPFLAGS) $(LINTED)
