// Stack: what a reader makes of its source and the writer turns into stack.toml: sections in the order in
// which they will stand, each a list of options and comments in the order of the source. A reader only says
// what it found and where; whether this version of circusd has an option, and whether the value is right, is
// decided for all readers in review.cc.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "convert/source.hpp"

namespace circus::convert {

struct Line {
    enum class Kind { Option, Disabled, Comment };
    Kind kind = Kind::Comment;
    std::string key;   // of an option; members of tables with dots: "env.HOME", "stdout_stream.class"
    Json value;        // of an option
    std::string text;  // of a comment
    Place at;
};

class Section {
  public:
    // `kind`: "circus", "env", "watcher", "socket", "plugin"; `name` is empty for the first two, and the list
    // of patterns of an [env."…"]. `origin`: how the source calls it, "[program:web]"; empty: not told.
    Section(std::string kind, std::string name, Place at, std::string origin);

    void set(std::string_view key, Json value, const Place& at);
    // What has no counterpart: `what` the source says, and what to do instead.
    void remark(const Place& at, std::string_view what, std::string_view advice);
    void note(std::string text);  // a comment about the section as a whole
    // Everything of it only as comments: there is nothing like it here.
    void disable() { disabled_ = true; }

    const Line* find(std::string_view key) const;
    bool has(std::string_view key) const { return find(key) != nullptr; }
    std::string title() const;  // watcher.web, env."a*"

    const std::string& kind() const { return kind_; }
    const std::string& name() const { return name_; }
    const std::string& origin() const { return origin_; }
    const Place& at() const { return at_; }
    bool disabled() const { return disabled_; }
    std::vector<Line>& lines() { return lines_; }
    const std::vector<Line>& lines() const { return lines_; }

  private:
    std::string kind_, name_;
    Place at_;
    std::string origin_;
    bool disabled_ = false;
    std::vector<Line> lines_;
};

class Stack {
  public:
    // The one [circus] or [env] there is, made at its first use.
    Section& circus(const Place& at);
    Section& env(const Place& at);
    Section& add(std::string kind, std::string name, const Place& at, std::string origin);

    // What belongs to no section: stands at the top.
    void note(std::string text) { notes.push_back({Line::Kind::Comment, {}, {}, std::move(text), {}}); }
    void remark(const Place& at, std::string_view what, std::string_view advice);
    void problem(const Place& at, std::string text) { problems.push_back({at, std::move(text)}); }

    std::vector<Line> notes;
    std::list<Section> sections;  // references to them stay good
    Problems problems;

  private:
    Section& only(const std::string& kind, const Place& at);
};

// The option tables' word on each option: what this version does not have is disabled, with a remark; what is
// wrong is a problem. Two sections of one name, and a watcher without a command, are problems as well.
void review(Stack& stack);

// The text of stack.toml.
std::string write_toml(const Stack& stack);
// A name as a key or as part of a section's head: web, "my job".
std::string toml_key(std::string_view name);

}  // namespace circus::convert
