# What the Makefiles of test/unit and test/fuzz share: building src/json, which
# needs no server, and a folder's own programs, under the sanitizers.
#
# PROGRAMS are these, each of a file of its name; OWN are the folder's own files
# that each of them needs, too, and OWN_FOLDERS where else those are.  SANITIZE says
# which sanitizers, and OPTIMIZE how much.  Needs a C compiler and cJSON.

SRC = ../../src
BUILD = build
PARTS = answer buffer connection_string escape mask payload reply utf8

CFLAGS = -std=gnu99 -g $(OPTIMIZE) -fno-omit-frame-pointer -Wall -Wextra -Wshadow \
  -Wmissing-prototypes -Wdeclaration-after-statement
CPPFLAGS = -I$(SRC) $(addprefix -I,$(OWN_FOLDERS)) $(shell pkg-config --cflags libcjson) -MMD -MP
LDLIBS = $(shell pkg-config --libs libcjson)

OBJECTS = $(addprefix $(BUILD)/,$(addsuffix .o,$(PARTS) $(OWN)))

.PHONY: all check clean
.SECONDARY:

all: $(PROGRAMS)

$(PROGRAMS): %: %.o $(OBJECTS)
	$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LDLIBS)

vpath %.c $(SRC)/json $(OWN_FOLDERS)
$(BUILD)/%.o: %.c | $(BUILD)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -c -o $@ $<

$(BUILD):
	mkdir -p $@

clean:
	rm -rf $(BUILD)

-include $(wildcard $(BUILD)/*.d)
