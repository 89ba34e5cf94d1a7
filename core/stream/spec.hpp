// What a stream is asked to do (StreamSpec), and what its sink tells of its troubles (Trouble).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace circus::stream {

using PipeId = std::uint64_t;  // never 0, never used twice

enum class Channel { Stdout, Stderr };

struct StreamSpec {
    std::string class_name = "FileStream";  // of sink_class.hpp's table, or one that was offered
    std::string watcher = {};               // whose output it is
    Channel channel = Channel::Stdout;
    std::string filename = {};     // of the classes with a file; relative: to the daemon's working directory
    std::string time_format = {};  // strftime(3), and %f for microseconds; empty: no prefix
    std::uint64_t max_bytes = 0;   // 0: not rotated by its size
    int backup_count = 0;          // old files that are kept; 0: not rotated by size, all kept when by time
    std::string rotate_when = {};  // S M H D W0…W6 MIDNIGHT; empty: not rotated by time
    int rotate_interval = 1;
    bool utc = false;
    bool compress = false;         // old files become FILE.gz
    std::string color = {};        // of FancyStdoutStream; empty: a random one
    std::size_t lines = 1000;      // of QueueStream
    bool drops_when_slow = false;  // else the worker waits
    std::string options = {};      // of an offered class: all its own, as JSON text
};

// A sink's condition that begins (`begins`) or is over.
struct Trouble {
    std::string target;  // the file's absolute name, "stdout", or the class
    bool begins = false;
    std::string text = {};                   // begins: what failed, with the reason
    std::uint64_t lost_bytes = 0;            // over: what was dropped while it lasted
    std::string key = {};                    // of the sink
    std::vector<std::string> watchers = {};  // whose output it concerns
};

}  // namespace circus::stream
