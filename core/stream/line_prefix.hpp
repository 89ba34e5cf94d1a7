// LinePrefix: "STAMP [PID] | " for the lines of one pipe, in a colour if it has one. The stamp is made once a
// second, not once a line.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace circus::stream {

class LinePrefix {
  public:
    // `format`: strftime(3), and %f for microseconds (Python's). Empty: no prefix. `colour`: the digit of the
    // escape sequence, 1 to 7; 0: none.
    explicit LinePrefix(std::string format, int colour = 0);

    bool is_wanted() const { return !format_.empty(); }
    void set_pid(pid_t pid) { pid_ = pid; }
    // Appends `text` to `out`, each line of it behind the prefix of this moment. `continues`: the first is
    // the rest of a line that has its prefix already.
    void append(std::string& out, std::string_view text, bool continues);
    // What ends the colour of a line that will have no newline.
    std::string_view ending() const { return ending_; }

  private:
    void stamp();

    std::string format_;
    std::string colour_;  // what begins it, and what ends it
    std::string_view ending_;
    bool has_micros_ = false;
    pid_t pid_ = 0;
    time_t second_ = -1;  // that prefix_ was made for
    std::string prefix_;
};

}  // namespace circus::stream
