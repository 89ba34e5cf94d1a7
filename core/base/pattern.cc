#include "base/pattern.hpp"

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "base/text.hpp"

namespace circus {

namespace {
constexpr std::size_t kMaxLength = 512;
constexpr std::size_t kMaxStates = 4096;
constexpr int kMaxGroups = 50;
constexpr int kMaxRepeat = 1000;
constexpr int kMaxSteps = 100'000;  // of emitting: a repeated nothing makes no states
}  // namespace

// Recursive descent into a tree, then states from the tree: a repeated part is emitted once a repetition.
class PatternParser {
  public:
    explicit PatternParser(std::string_view text) : text_(text) {}

    Result<Pattern> run() {
        if (text_.size() > kMaxLength) return Error{"too long"};
        auto tree = alternation();
        if (tree && at_ < text_.size()) fail("unbalanced parenthesis");
        if (!tree || failed_) return Error{why_};
        Pattern pattern;
        states_ = &pattern.states_;
        const int match = add({Pattern::State::Kind::Match, {}, -1, -1});
        pattern.start_ = emit(*tree, match);
        states_ = nullptr;
        if (failed_) return Error{why_};
        return pattern;
    }

  private:
    using Bytes = Pattern::Bytes;
    struct Node {
        enum class Kind { Empty, Bytes, Begin, End, Sequence, Either, Repeat } kind = Kind::Empty;
        Bytes bytes{};
        std::vector<std::unique_ptr<Node>> parts{};
        int least = 0, most = 0;  // Repeat; most -1: without end
    };
    using Tree = std::unique_ptr<Node>;

    Tree fail(const char* why) {
        if (!failed_) why_ = why;
        failed_ = true;
        return nullptr;
    }
    bool more() const { return at_ < text_.size(); }
    bool take(char c) {
        if (!more() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    Tree alternation() {
        if (++depth_ > kMaxGroups) return fail("nested too deeply");
        auto either = std::make_unique<Node>();
        either->kind = Node::Kind::Either;
        do {
            auto part = sequence();
            if (!part) return nullptr;
            either->parts.push_back(std::move(part));
        } while (take('|'));
        --depth_;
        return either;
    }

    Tree sequence() {
        auto all = std::make_unique<Node>();
        all->kind = Node::Kind::Sequence;
        while (more() && text_[at_] != '|' && text_[at_] != ')') {
            auto part = repeated();
            if (!part) return nullptr;
            all->parts.push_back(std::move(part));
        }
        return all;
    }

    Tree repeated() {
        auto part = atom();
        if (!part) return nullptr;
        int least = 0;
        int most = 0;
        if (!quantifier(least, most)) return failed_ ? nullptr : std::move(part);
        take('?');
        int again = 0;
        if (quantifier(again, again)) return fail("multiple repeat");
        auto repeat = std::make_unique<Node>();
        repeat->kind = Node::Kind::Repeat;
        repeat->least = least;
        repeat->most = most;
        repeat->parts.push_back(std::move(part));
        return repeat;
    }

    bool quantifier(int& least, int& most) {
        if (take('*')) {
            least = 0;
            most = -1;
        } else if (take('+')) {
            least = 1;
            most = -1;
        } else if (take('?')) {
            least = 0;
            most = 1;
        } else {
            return braces(least, most);
        }
        return true;
    }

    // {m}, {m,}, {,n}, {m,n}; anything else is a literal brace, as in Python.
    bool braces(int& least, int& most) {
        if (!more() || text_[at_] != '{') return false;
        const std::size_t close = text_.find('}', at_);
        if (close == std::string_view::npos) return false;
        const auto ends = split(text_.substr(at_ + 1, close - at_ - 1), ',');
        if (ends.size() > 2 || (ends.size() == 1 && ends[0].empty())) return false;
        const auto low = ends[0].empty() ? std::optional<long long>(0) : parse_int(ends[0]);
        auto high = ends.size() == 1 ? low : std::optional<long long>(-1);
        if (ends.size() == 2 && !ends[1].empty()) high = parse_int(ends[1]);
        if (!low || !high || *low < 0) return false;
        if (*low > kMaxRepeat || *high > kMaxRepeat) return fail("repeated too often") != nullptr;
        if (*high >= 0 && *high < *low) return fail("min repeat greater than max repeat") != nullptr;
        least = static_cast<int>(*low);
        most = static_cast<int>(*high);
        at_ = close + 1;
        return true;
    }

    Tree atom() {
        const char c = text_[at_++];
        auto node = std::make_unique<Node>();
        node->kind = Node::Kind::Bytes;
        switch (c) {
            case '(':
                if (take('?') && !take(':')) return fail("unknown extension (?");
                node = alternation();
                if (node && !take(')')) return fail("missing ), unterminated subpattern");
                return node;
            case '[':
                return bracket() ? std::move(set_) : nullptr;
            case '\\':
                if (!more()) return fail("bad escape (end of pattern)");
                if (!escape(node->bytes)) return nullptr;
                return node;
            case '.':
                node->bytes.set();
                node->bytes.reset('\n');
                return node;
            case '^':
                node->kind = Node::Kind::Begin;
                return node;
            case '$':
                node->kind = Node::Kind::End;
                return node;
            case '*':
            case '+':
            case '?':
                return fail("nothing to repeat");
            default:
                node->bytes.set(static_cast<unsigned char>(c));
                return node;
        }
    }

    static void add_range(Bytes& bytes, int from, int to) {
        for (int c = from; c <= to; ++c) bytes.set(static_cast<std::size_t>(c));
    }

    // What stands behind a backslash, as a set of bytes.
    bool escape(Bytes& bytes) {
        const char c = text_[at_++];
        Bytes named;
        switch (c) {
            case 'd':
            case 'D':
                add_range(named, '0', '9');
                break;
            case 'w':
            case 'W':
                add_range(named, '0', '9');
                add_range(named, 'a', 'z');
                add_range(named, 'A', 'Z');
                named.set('_');
                add_range(named, 0x80, 0xff);
                break;
            case 's':
            case 'S':
                for (const char blank : {' ', '\t', '\n', '\r', '\f', '\v'})
                    named.set(static_cast<unsigned char>(blank));
                break;
            case 'n':
                named.set('\n');
                break;
            case 't':
                named.set('\t');
                break;
            default:
                if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
                    fail("bad escape");
                    return false;
                }
                named.set(static_cast<unsigned char>(c));
        }
        bytes |= c == 'D' || c == 'W' || c == 'S' ? ~named : named;
        return true;
    }

    bool bracket() {
        set_ = std::make_unique<Node>();
        set_->kind = Node::Kind::Bytes;
        const bool inverted = take('^');
        bool first = true;
        while (more() && (first || text_[at_] != ']')) {
            first = false;
            if (take('\\')) {
                if (!more()) break;
                if (!escape(set_->bytes)) return false;
                continue;
            }
            const auto low = static_cast<unsigned char>(text_[at_++]);
            if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
                const auto high = static_cast<unsigned char>(text_[at_ + 1]);
                at_ += 2;
                if (high < low || high == '\\') return fail("bad character range") != nullptr;
                add_range(set_->bytes, low, high);
            } else {
                set_->bytes.set(low);
            }
        }
        if (!take(']')) return fail("unterminated character set") != nullptr;
        if (inverted) set_->bytes.flip();
        return true;
    }

    int add(Pattern::State state) {
        if (states_->size() >= kMaxStates) {
            fail("too large");
            return 0;
        }
        states_->push_back(state);
        return static_cast<int>(states_->size()) - 1;
    }

    // The first state of `node` whose end leads to `next`.
    int emit(const Node& node, int next) {
        using Kind = Pattern::State::Kind;
        if (++steps_ > kMaxSteps) fail("too large");
        if (failed_) return 0;
        switch (node.kind) {
            case Node::Kind::Empty:
                return next;
            case Node::Kind::Bytes:
                return add({Kind::Bytes, node.bytes, next, -1});
            case Node::Kind::Begin:
                return add({Kind::Begin, {}, next, -1});
            case Node::Kind::End:
                return add({Kind::End, {}, next, -1});
            case Node::Kind::Sequence:
                for (auto part = node.parts.rbegin(); part != node.parts.rend(); ++part)
                    next = emit(**part, next);
                return next;
            case Node::Kind::Either: {
                int first = emit(*node.parts.back(), next);
                for (auto part = node.parts.rbegin() + 1; part != node.parts.rend(); ++part) {
                    const int branch = emit(**part, next);
                    first = add({Kind::Split, {}, branch, first});
                }
                return first;
            }
            case Node::Kind::Repeat:
                return emit_repeat(node, next);
        }
        return next;
    }

    int emit_repeat(const Node& node, int next) {
        using Kind = Pattern::State::Kind;
        const Node& part = *node.parts.front();
        int first = next;
        if (node.most < 0) {
            first = add({Kind::Split, {}, -1, next});
            const int again = emit(part, first);
            if (!failed_) (*states_)[static_cast<std::size_t>(first)].next = again;
        } else {
            for (int n = node.least; n < node.most && !failed_; ++n) {
                const int one = emit(part, first);
                first = add({Kind::Split, {}, one, next});
            }
        }
        for (int n = 0; n < node.least && !failed_; ++n) first = emit(part, first);
        return first;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
    int steps_ = 0;
    bool failed_ = false;
    std::string why_;
    Tree set_;
    std::vector<Pattern::State>* states_ = nullptr;
};

Result<Pattern> Pattern::compile(std::string_view text) {
    return PatternParser(text).run();
}

// Follows what needs no byte, without recursion: a pattern may hold thousands of empty steps.
void Pattern::enter(std::vector<int>& active, std::vector<bool>& seen, int state, std::size_t at,
                    std::size_t size) const {
    std::vector<int> open = {state};
    while (!open.empty()) {
        const int index = open.back();
        open.pop_back();
        if (seen[static_cast<std::size_t>(index)]) continue;
        seen[static_cast<std::size_t>(index)] = true;
        const State& here = states_[static_cast<std::size_t>(index)];
        switch (here.kind) {
            case State::Kind::Split:
                open.push_back(here.next);
                open.push_back(here.other);
                break;
            case State::Kind::Begin:
                if (at == 0) open.push_back(here.next);
                break;
            case State::Kind::End:
                if (at == size) open.push_back(here.next);
                break;
            default:
                active.push_back(index);
        }
    }
}

bool Pattern::matches(std::string_view text, bool anywhere) const {
    std::vector<int> active;
    std::vector<bool> seen(states_.size(), false);
    enter(active, seen, start_, 0, text.size());
    for (std::size_t at = 0;; ++at) {
        std::vector<int> next;
        seen.assign(states_.size(), false);
        for (const int index : active) {
            const State& here = states_[static_cast<std::size_t>(index)];
            if (here.kind == State::Kind::Match) return true;
            if (at < text.size() && here.bytes[static_cast<unsigned char>(text[at])])
                enter(next, seen, here.next, at + 1, text.size());
        }
        if (at >= text.size()) return false;
        if (anywhere) enter(next, seen, start_, at + 1, text.size());
        if (next.empty()) return false;
        active = std::move(next);
    }
}

}  // namespace circus
