/*
 * Parses each file that it is given with the checked-in tree-sitter parser and says, a line each: `file PATH`, then for every leaf
 * `START END KIND` with `k` in front of a literal of the grammar and `n` in front of a node with a name, and for every fault `fault START END`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tree_sitter/api.h>

const TSLanguage *tree_sitter_fwc(void);

static void walk(TSNode node)
{
    unsigned start = ts_node_start_byte(node), end = ts_node_end_byte(node);
    unsigned count = ts_node_child_count(node);
    if (ts_node_is_missing(node) || strcmp(ts_node_type(node), "ERROR") == 0)
        printf("fault %u %u\n", start, end);
    if (count == 0 && end > start && ts_node_type(node)[0] != '\n')
        printf("%c %u %u %s\n", ts_node_is_named(node) ? 'n' : 'k', start, end, ts_node_type(node));
    for (unsigned i = 0; i < count; i++)
        walk(ts_node_child(node, i));
}

int main(int count, char **paths)
{
    TSParser *parser = ts_parser_new();
    if (!ts_parser_set_language(parser, tree_sitter_fwc())) {
        fprintf(stderr, "this library does not take the parser's version\n");
        return 1;
    }
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        if (!file || fseek(file, 0, SEEK_END)) {
            perror(paths[i]);
            return 1;
        }
        long length = ftell(file);
        rewind(file);
        char *text = malloc(length + 1);
        if (!text || fread(text, 1, length, file) != (size_t)length) {
            perror(paths[i]);
            return 1;
        }
        fclose(file);
        TSTree *tree = ts_parser_parse_string(parser, NULL, text, length);
        printf("file %s\n", paths[i]);
        walk(ts_tree_root_node(tree));
        ts_tree_delete(tree);
        free(text);
    }
    return 0;
}
