#include "convert/json_source.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text.hpp"

namespace circus::convert {
namespace {

constexpr int kDeepest = 100;

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '-' || c == '+' ||
           c == '.';
}

// A code point in UTF-8; half of a pair becomes the replacement character.
void append_utf8(std::string& out, unsigned code) {
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    if (code < 0x80) {
        out += static_cast<char>(code);
        return;
    }
    if (code < 0x800) {
        out += static_cast<char>(0xc0 | (code >> 6));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xe0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | (code >> 18));
        out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    }
    out += static_cast<char>(0x80 | (code & 0x3f));
}

// Recursive descent; the first error ends it, by way of error_.
class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::variant<JsonNode, std::pair<int, std::string>> run() {
        JsonNode root = value(0);
        skip();
        if (error_.empty() && at_ < text_.size()) fail("something behind the end of the value");
        if (!error_.empty()) return std::pair{error_line_, error_};
        return root;
    }

  private:
    void fail(std::string text) {
        if (!error_.empty()) return;
        error_ = std::move(text);
        error_line_ = line_;
        at_ = text_.size();
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }

    void skip() {
        while (at_ < text_.size()) {
            if (std::isspace(static_cast<unsigned char>(peek()))) {
                line_ += text_[at_++] == '\n';
            } else if (starts("//")) {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (starts("/*")) {
                const size_t end = text_.find("*/", at_ + 2);
                if (end == std::string_view::npos) return fail("a comment that does not end");
                line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                     text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
                at_ = end + 2;
            } else {
                return;
            }
        }
    }

    JsonNode value(int depth) {
        skip();
        JsonNode node;
        node.line = line_;
        if (depth > kDeepest)
            fail("nested too deeply");
        else if (peek() == '{')
            object(node, depth);
        else if (peek() == '[')
            array(node, depth);
        else if (peek() == '"' || peek() == '\'')
            node.scalar = text();
        else
            word(node);
        return node;
    }

    void object(JsonNode& node, int depth) {
        node.kind = JsonNode::Kind::Object;
        ++at_;
        while (true) {
            skip();
            if (close('}')) return;
            const std::string key = peek() == '"' || peek() == '\'' ? text() : bare();
            if (key.empty() && error_.empty()) return fail("a name is missing");
            skip();
            if (peek() != ':') return fail(cat("no \":\" behind \"", key, "\""));
            ++at_;
            node.members.push_back({key, value(depth + 1)});
            if (!separated('}')) return;
        }
    }

    void array(JsonNode& node, int depth) {
        node.kind = JsonNode::Kind::Array;
        ++at_;
        while (true) {
            skip();
            if (close(']')) return;
            node.items.push_back(value(depth + 1));
            if (!separated(']')) return;
        }
    }

    bool close(char end) {
        if (at_ >= text_.size()) {
            fail(cat("the end of the file where a \"", end, "\" is missing"));
            return true;
        }
        if (peek() != end) return false;
        ++at_;
        return true;
    }

    // Behind a member: true if another may follow.
    bool separated(char end) {
        skip();
        if (close(end) || !error_.empty()) return false;
        if (peek() != ',') {
            fail(cat("a \",\" or a \"", end, "\" is missing"));
            return false;
        }
        ++at_;
        return true;
    }

    std::string bare() {
        const size_t from = at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        return std::string(text_.substr(from, at_ - from));
    }

    void word(JsonNode& node) {
        const std::string word = bare();
        if (word == "true" || word == "false")
            node.scalar = word == "true";
        else if (word == "null" || word == "undefined")
            node.scalar = nullptr;
        else if (const auto integer = parse_int(word))
            node.scalar = *integer;
        else if (const auto number = parse_number(word))
            node.scalar = *number;
        else
            fail(word.empty() ? cat("no JSON at \"", text_.substr(at_, 20), "\"")
                              : cat("\"", word, "\" is no JSON value: only data is read, no JavaScript"));
    }

    std::string text() {
        const char quote = text_[at_++];
        std::string out;
        while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
            if (text_[at_] == '\\')
                escape(out);
            else
                out += text_[at_++];
        }
        if (peek() != quote) {
            fail("a text that does not end");
            return out;
        }
        ++at_;
        return out;
    }

    void escape(std::string& out) {
        ++at_;
        const char c = peek();
        ++at_;
        constexpr std::string_view kFrom = "nrtbf";
        constexpr std::string_view kTo = "\n\r\t\b\f";
        if (const size_t known = kFrom.find(c); known != std::string_view::npos) {
            out += kTo[known];
        } else if (c == 'u') {
            unsigned code = hex();
            if (code >= 0xd800 && code < 0xdc00 && starts("\\u")) {
                at_ += 2;
                const unsigned low = hex();
                code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
                                                     : 0xfffd;
            }
            append_utf8(out, code);
        } else {
            out += c;
        }
    }

    unsigned hex() {
        unsigned code = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = peek();
            if (!std::isxdigit(static_cast<unsigned char>(c))) {
                fail("\\u needs four hexadecimal digits");
                return 0;
            }
            code = code * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        return code;
    }

    std::string_view text_;
    size_t at_ = 0;
    int line_ = 1;
    std::string error_;
    int error_line_ = 0;
};

}  // namespace

const JsonNode* JsonNode::find(std::string_view name) const {
    for (const auto& [key, node] : members)
        if (key == name) return &node;
    return nullptr;
}

Json JsonNode::to_json() const {
    if (kind == Kind::Scalar) return scalar;
    Json whole = kind == Kind::Array ? Json::array() : Json::object();
    for (const auto& item : items) whole.push_back(item.to_json());
    for (const auto& [key, node] : members) whole[key] = node.to_json();
    return whole;
}

std::variant<JsonNode, Problem> parse_json_source(const std::string& file, std::string_view text) {
    auto parsed = Parser(text).run();
    if (auto* error = std::get_if<1>(&parsed)) return Problem{{file, error->first}, error->second};
    return std::get<0>(std::move(parsed));
}

}  // namespace circus::convert
