/*
 * Parses each file that it is given with the checked-in tree-sitter parser and says, a line each: `file PATH`, then for every leaf
 * `START END KIND` with `k` in front of a literal of the grammar and `n` in front of a node with a name, and for every fault `fault START END`.
 *
 * driver --tree FILE…            says each file's tree instead
 * driver --captures QUERY FILE…  says `START END CAPTURE` for all that the query finds, in the order of the text, and of the query's
 *                                patterns at one place
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

static TSQuery *query;

static void captures(TSNode root)
{
    TSQueryCursor *cursor = ts_query_cursor_new();
    TSQueryMatch match;
    uint32_t index;
    ts_query_cursor_exec(cursor, query, root);
    while (ts_query_cursor_next_capture(cursor, &match, &index)) {
        TSQueryCapture capture = match.captures[index];
        uint32_t length;
        const char *name = ts_query_capture_name_for_id(query, capture.index, &length);
        printf("%u %u %.*s\n", ts_node_start_byte(capture.node), ts_node_end_byte(capture.node), (int)length, name);
    }
    ts_query_cursor_delete(cursor);
}

static char *content(const char *path, long *length)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0 && (*length = ftell(file)) >= 0) {
        rewind(file);
        text = malloc(*length + 1);
        if (text && fread(text, 1, *length, file) != (size_t)*length)
            text = NULL;
    }
    if (!text) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return text;
}

int main(int count, char **words)
{
    int first = 1, tree_form = count > 1 && strcmp(words[1], "--tree") == 0;
    long length;
    TSParser *parser = ts_parser_new();
    if (!ts_parser_set_language(parser, tree_sitter_fwc())) {
        fprintf(stderr, "this library does not take the parser's version\n");
        return 1;
    }
    if (tree_form)
        first = 2;
    if (count > 2 && strcmp(words[1], "--captures") == 0) {
        uint32_t place;
        TSQueryError fault;
        char *text = content(words[2], &length);
        query = ts_query_new(tree_sitter_fwc(), text, length, &place, &fault);
        if (!query) {
            fprintf(stderr, "%s: fault %d at byte %u\n", words[2], fault, place);
            return 1;
        }
        first = 3;
    }
    for (int i = first; i < count; i++) {
        char *text = content(words[i], &length);
        TSTree *tree = ts_parser_parse_string(parser, NULL, text, length);
        TSNode root = ts_tree_root_node(tree);
        printf("file %s\n", words[i]);
        if (tree_form)
            puts(ts_node_string(root));
        else if (query)
            captures(root);
        else
            walk(root);
        ts_tree_delete(tree);
        free(text);
    }
    return 0;
}
