#include "traces/cluster/cluster.h"

#include <gtest/gtest.h>

namespace berth::traces {
namespace {

Result<std::vector<ClusterJob>> jobs(std::string_view text) {
  return read_cluster_jobs(text, "f", SwfProcessor::kCpu);
}

TEST(ClusterTraces, ReadBerthsOwnTable) {
  const auto read = jobs(
      "job,submit_s,runtime_s,gpus,cpu_milli,members,queue,owner,estimate_s\n"
      "late,100,60,1,500,1,q,ada,\n"
      "early,40,30.5,2,1000,3,q,bo,90\n");
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->size(), 2u);
  const ClusterJob& first = read->front();
  EXPECT_EQ(first.name, "early");
  EXPECT_EQ(first.submit_s, 0);
  EXPECT_EQ(first.runtime_s, 30.5);
  EXPECT_EQ(first.members, 3u);
  EXPECT_EQ(first.estimate_s, 90);
  EXPECT_EQ(read->back().submit_s, 60);
  EXPECT_EQ(read->back().estimate_s, 0);
}

TEST(ClusterTraces, ReadOpenbPodsThatRan) {
  const auto read = jobs(
      "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,"
      "deletion_time,scheduled_time\n"
      "p0,12000,16384,1,460,T4|P100,LS,Running,10,110,20\n"
      "p1,12000,16384,1,460,,LS,Pending,10,110,\n");
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().runtime_s, 90);
  EXPECT_EQ(read->front().device_milli, 460);
  EXPECT_EQ(read->front().models, "T4|P100");
}

TEST(ClusterTraces, ReadHelios) {
  const auto read = jobs(
      "job_id,user,vc,jobname,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,"
      "duration,queue\n"
      "7,u1,vcA,x,16,32,2,COMPLETED,2020-04-01 00:00:10,2020-04-01 00:00:20,2020-04-01 "
      "01:00:20,3600,10\n"
      "8,u1,vcA,x,1,4,0,CANCELLED,2020-04-01 00:00:00,,,0,0\n");
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().devices, 8);
  EXPECT_EQ(read->front().members, 2u);
  EXPECT_EQ(read->front().cpu_milli, 16000);
  EXPECT_EQ(read->front().queue, "vcA");
}

TEST(ClusterTraces, ReadPhilly) {
  const auto read = jobs(R"([{"status":"Pass","vc":"v","jobid":"app_1","user":"u",
    "submitted_time":"2017-10-09 07:00:00","attempts":[
      {"start_time":"2017-10-09 07:02:00","end_time":"2017-10-09 07:03:00",
       "detail":[{"ip":"m1","gpus":["gpu0","gpu1"]},{"ip":"m2","gpus":["gpu0","gpu1"]}]},
      {"start_time":"2017-10-09 07:05:00","end_time":"2017-10-09 07:05:30","detail":[]}]},
    {"status":"Killed","vc":"v","jobid":"app_2","user":"u",
    "submitted_time":"2017-10-09 07:00:00","attempts":[]}])");
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().runtime_s, 90);
  EXPECT_EQ(read->front().members, 2u);
  EXPECT_EQ(read->front().devices, 2);
}

TEST(ClusterTraces, ReadSwf) {
  const auto read = jobs(
      "; UnixStartTime: 0\n"
      "  1 10 5 100 20 -1 1024 20 200 -1 1 3 1 -1 2 -1 -1 -1\n"
      "  2 20 5 -1 -1 -1 -1 4 200 -1 5 3 1 -1 2 -1 -1 -1\n");
  ASSERT_TRUE(read) << read.error().to_string();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().members, 2u);  // 20 processors as two tasks of 10
  EXPECT_EQ(read->front().cpu_milli, 10'000);
  EXPECT_EQ(read->front().estimate_s, 200);
  EXPECT_EQ(read->front().owner, "user-3");
  EXPECT_EQ(read->front().queue, "queue-2");
}

std::string position(const Error& error) {
  return error.where;
}

TEST(ClusterTraces, SayWhereTheyAreWrong) {
  const auto job = [](std::string_view text) { return position(jobs(text).error()); };
  EXPECT_EQ(job("job,submit,runtime_s,gpus\n"), "f:1:1");
  EXPECT_EQ(job("; c\n  1 10 nan 100 20 -1 1024 20 200 -1 1 3 1 -1 2 -1 -1 -1\n"), "f:2:8");
  EXPECT_EQ(job("job,submit_s,runtime_s,gpus\na,0,10,1\nb,0,10,-2\n"), "f:3:8");
  EXPECT_EQ(job("job,submit_s,runtime_s,gpus\na,0,10,1\na,0,10,1\n"), "f:3:1");
  EXPECT_EQ(job("job,submit_s,runtime_s,gpus\na,0,0,1\n"), "f:2:1");
  EXPECT_EQ(job("; c\n 1 10 5 x 20 -1 1024 20 200 -1 1 3 1 -1 2 -1 -1 -1\n"), "f:2:9");
  EXPECT_EQ(job("[{\"jobid\":\"a\",\n \"attempts\":}]"), "f:2:13");
  const auto queues = [](std::string_view text) {
    return position(read_cluster_queues(text, "q").error());
  };
  EXPECT_EQ(queues("queue,parent\na,b\nb,a\n"), "q:2:1");
  EXPECT_EQ(queues("queue,parent\na,c\n"), "q:2:1");
  EXPECT_EQ(queues("queue,weight\na,-1\n"), "q:2:3");
  EXPECT_EQ(position(read_cluster_nodes("name,cpu_milli,memory_mib,gpu\na,1,1,-1\n", "n").error()),
            "n:2:7");
}

}  // namespace
}  // namespace berth::traces
