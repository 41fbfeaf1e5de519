/* toml_shim.cpp - see toml_tree.h. The only C++ of the project; nothing of it shows outside. */
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "server/toml_tree.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

char *copy_text(std::string_view text) {
    char *copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (copy) {
        std::memcpy(copy, text.data(), text.size());
        copy[text.size()] = '\0';
    }
    return copy;
}

/* In order of lines: toml++ sorts tables by key. */
void insert(toml_node *parent, toml_node *child, bool by_line) {
    toml_node **place = &parent->first;
    while (*place && (!by_line || (*place)->line <= child->line)) {
        place = &(*place)->next;
    }
    child->next = *place;
    *place = child;
}

toml_node *convert(const toml::node &from, unsigned line);

bool convert_table(const toml::table &from, toml_node *node) {
    for (auto &&[key, value] : from) {
        toml_node *child = convert(value, key.source().begin.line);
        if (!child) {
            return false;
        }
        insert(node, child, true);
        child->key = copy_text(key.str());
        if (!child->key) {
            return false;
        }
    }
    return true;
}

bool convert_list(const toml::array &from, toml_node *node) {
    for (const toml::node &value : from) {
        toml_node *child = convert(value, value.source().begin.line);
        if (!child) {
            return false;
        }
        insert(node, child, false);
    }
    return true;
}

bool convert_value(const toml::node &from, toml_node *node) {
    if (const toml::table *table = from.as_table()) {
        node->kind = TOML_TABLE;
        return convert_table(*table, node);
    }
    if (const toml::array *list = from.as_array()) {
        node->kind = TOML_LIST;
        return convert_list(*list, node);
    }
    node->kind = TOML_OTHER;
    if (const auto *text = from.as_string()) {
        node->kind = TOML_TEXT;
        node->text = copy_text(text->get());
        node->text_bytes = text->get().size();
        return node->text != nullptr;
    }
    if (const auto *number = from.as_integer()) {
        node->kind = TOML_NUMBER;
        node->number = number->get();
    }
    if (const auto *flag = from.as_boolean()) {
        node->kind = TOML_FLAG;
        node->flag = flag->get();
    }
    return true;
}

toml_node *convert(const toml::node &from, unsigned line) {
    toml_node *node = static_cast<toml_node *>(std::calloc(1, sizeof *node));
    if (node) {
        node->line = line;
        if (!convert_value(from, node)) {
            toml_free(node);
            node = nullptr;
        }
    }
    return node;
}

} // namespace

extern "C" toml_node *toml_parse(const char *bytes, size_t count, toml_error *ret_error) {
    *ret_error = toml_error{};
    toml::parse_result result = toml::parse(std::string_view(bytes, count));
    if (!result) {
        const toml::parse_error &error = result.error();
        ret_error->line = error.source().begin.line;
        std::snprintf(ret_error->text, sizeof ret_error->text, "%.*s", static_cast<int>(error.description().size()),
                      error.description().data());
        return nullptr;
    }
    toml_node *root = convert(result.table(), 1);
    if (!root) {
        std::snprintf(ret_error->text, sizeof ret_error->text, "out of memory");
    }
    return root;
}

extern "C" void toml_free(toml_node *root) {
    while (root) {
        toml_node *next = root->next;
        toml_free(root->first);
        if (root->text) {
            explicit_bzero(root->text, root->text_bytes);
        }
        std::free(root->text);
        std::free(root->key);
        std::free(root);
        root = next;
    }
}
