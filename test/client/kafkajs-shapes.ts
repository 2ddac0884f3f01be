import type * as k from 'kafkajs';
import type * as o from '../../src/index.js';

type Missing<Theirs, Ours> = Exclude<keyof Theirs, keyof Ours>;
type None<T extends never> = T;
type Takes<_Theirs, _Ours extends _Theirs> = _Ours;

/** Each property of KafkaJS's types is here, too: the compiler looks whether it is. */
export type Shapes = [
  None<Missing<k.AdminConfig, o.AdminConfig>>,
  None<Missing<k.ITopicMetadata, o.ITopicMetadata>>,
  None<Missing<k.PartitionMetadata, o.PartitionMetadata>>,
  None<Missing<k.ConfigEntries, o.ConfigEntries>>,
  None<Missing<k.DescribeConfigResponse, o.DescribeConfigResponse>>,
  None<Missing<k.GroupDescription, o.GroupDescription>>,
  None<Missing<k.MemberDescription, o.MemberDescription>>,
  None<Missing<k.GroupOverview, o.GroupOverview>>,
  None<Missing<k.DeleteGroupsResult, o.DeleteGroupsResult>>,
  None<Missing<k.TopicPartitionOffsetAndMetadata, o.TopicPartitionOffsetAndMetadata>>,
  None<Missing<k.RecordMetadata, o.RecordMetadata>>,
  None<Missing<k.LogEntry, o.LogEntry>>,
  None<Missing<k.Logger, o.Logger>>,
  None<Missing<k.KafkaMessage, o.KafkaMessage>>,
  None<Missing<k.FetchOffsetsPartition, o.FetchOffsetsPartition>>,
  None<Missing<k.ITopicPartitionConfig, o.ITopicPartitionConfig>>,
  None<Missing<k.ResourceConfigQuery, o.ResourceConfigQuery>>,
  None<Missing<k.IResourceConfig, o.IResourceConfig>>,
  None<Missing<k.SeekEntry, o.SeekEntry>>,
  None<Missing<k.PartitionOffset, o.PartitionOffset>>,
  None<Missing<k.KafkaJSError, o.KafkaJSError>>,
  None<Missing<k.KafkaJSProtocolError, o.KafkaJSProtocolError>>,
  None<Missing<k.KafkaJSNumberOfRetriesExceeded, o.KafkaJSNumberOfRetriesExceeded>>,
  None<Missing<k.KafkaJSConnectionError, o.KafkaJSConnectionError>>,
  None<Missing<k.KafkaJSTopicMetadataNotLoaded, o.KafkaJSTopicMetadataNotLoaded>>,
  None<Missing<k.KafkaJSStaleTopicMetadataAssignment, o.KafkaJSStaleTopicMetadataAssignment>>,
  None<Missing<k.KafkaJSServerDoesNotSupportApiKey, o.KafkaJSServerDoesNotSupportApiKey>>,
  None<Missing<k.KafkaJSDeleteGroupsError, o.KafkaJSDeleteGroupsError>>,
  None<Missing<k.KafkaJSDeleteTopicRecordsError, o.KafkaJSDeleteTopicRecordsError>>,
  None<Missing<k.KafkaJSAggregateError, o.KafkaJSAggregateError>>,
  None<Missing<k.KafkaJSOffsetOutOfRange, o.KafkaJSOffsetOutOfRange>>,
  None<Missing<k.ProducerEvents, o.ProducerEvents>>,
  None<Missing<k.ConsumerEvents, o.ConsumerEvents>>,
  None<Missing<k.AdminEvents, o.AdminEvents>>,
  None<Missing<k.ConsumerHeartbeatEvent['payload'], o.ConsumerHeartbeatEvent['payload']>>,
  None<Missing<k.ConsumerCommitOffsetsEvent['payload'], o.ConsumerCommitOffsetsEvent['payload']>>,
  None<Missing<k.ConsumerRebalancingEvent['payload'], o.ConsumerRebalancingEvent['payload']>>,
  None<
    Missing<k.ConsumerReceivedUnsubcribedTopicsEvent['payload'], o.ConsumerReceivedUnsubcribedTopicsEvent['payload']>
  >,
  None<Missing<k.PartitionerArgs, o.PartitionerArgs>>,
  None<Missing<k.Assigner, o.Assigner>>,
  None<Missing<k.GroupMember, o.GroupMember>>,
  None<Missing<k.MemberMetadata, o.MemberMetadata>>,
  None<Missing<k.ReplicaAssignment, o.ReplicaAssignment>>,
  None<Missing<k.Offsets['topics'][0]['partitions'][0], o.Offsets['topics'][0]['partitions'][0]>>,
  None<Missing<Parameters<k.Admin['createTopics']>[0], Parameters<o.Admin['createTopics']>[0]>>,
  None<Missing<Parameters<k.Admin['createPartitions']>[0], Parameters<o.Admin['createPartitions']>[0]>>,
  None<Missing<Parameters<k.Admin['fetchOffsets']>[0], Parameters<o.Admin['fetchOffsets']>[0]>>,
  None<Missing<Parameters<k.Admin['describeConfigs']>[0], Parameters<o.Admin['describeConfigs']>[0]>>,
  None<Missing<Parameters<k.Admin['alterConfigs']>[0], Parameters<o.Admin['alterConfigs']>[0]>>,
  None<Missing<Parameters<k.Admin['deleteTopics']>[0], Parameters<o.Admin['deleteTopics']>[0]>>,
  None<Missing<Parameters<k.Admin['setOffsets']>[0], Parameters<o.Admin['setOffsets']>[0]>>,
  None<Missing<Parameters<k.Admin['resetOffsets']>[0], Parameters<o.Admin['resetOffsets']>[0]>>,
  None<Missing<Awaited<ReturnType<k.Admin['describeCluster']>>, Awaited<ReturnType<o.Admin['describeCluster']>>>>,
  None<Missing<k.Message, o.Message>>,
  // What is given out may be passed on to functions that take KafkaJS's lists, which are not readonly.
  Takes<unknown[], o.Batch['messages']>,
  Takes<unknown[], o.GroupDescription['members']>,
  Takes<k.Offsets, o.Offsets>,
  Takes<unknown[], o.DescribeConfigResponse['resources']>,
  Takes<
    Pick<Awaited<ReturnType<k.Admin['describeCluster']>>, 'brokers'>,
    Awaited<ReturnType<o.Admin['describeCluster']>>
  >,
  Takes<unknown[], Parameters<o.Assigner['assign']>[0]['members']>,
  Takes<Parameters<k.Assigner['protocol']>[0], Parameters<o.Assigner['protocol']>[0]>,
];
