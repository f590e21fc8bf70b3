// Rows over the threads of an attn::Parallel.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "attn/parallel.hpp"

namespace encoder {

// Calls run(task, begin, end) for pieces of at most `step` rows until all of [0, rows) are done; `task` is below the
// number of threads, and no two calls of one task overlap. Whoever is free takes the next piece. An exception of run
// comes out here.
template <class Run>
void for_rows(const attn::Parallel* parallel, std::int64_t rows, std::int64_t step, const Run& run) {
  struct Work {
    const Run& run;
    std::int64_t rows, step;
    std::atomic<std::int64_t> next{0};
    std::mutex mutex;
    std::exception_ptr error;

    static void task(void* argument, std::int64_t index) {
      Work& work = *static_cast<Work*>(argument);
      try {
        for (std::int64_t begin; (begin = work.next.fetch_add(work.step)) < work.rows;)
          work.run(index, begin, std::min(begin + work.step, work.rows));
      } catch (...) {
        const std::lock_guard<std::mutex> lock(work.mutex);
        work.error = std::current_exception();
      }
    }
  } work{run, rows, step, {}, {}, {}};
  const std::int64_t pieces = (rows + step - 1) / step;
  const std::int64_t tasks = parallel ? std::min(parallel->threads, pieces) : 1;
  if (tasks > 1)
    parallel->run(parallel->context, tasks, Work::task, &work);
  else
    Work::task(&work, 0);
  if (work.error) std::rethrow_exception(work.error);
}

}  // namespace encoder
