import { expect, test } from 'vitest';
import { AssignerProtocol } from '../../src/client/consumer/assigner-protocol.js';
import { assignRange, assignRoundRobin } from '../../src/client/consumer/assignors.js';
import { RecordBytes } from '../../src/record/record-bytes.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

test.each([assignRange, assignRoundRobin])(
  '%o gives each partition of a subscribed topic to one subscriber',
  (assign) => {
    for (let seed = 0; seed < 100; seed++) {
      const random = seededRandom(seed);
      const counts = new Map(['a', 'b', 'c'].map((topic) => [topic, random.below(6)]));
      const members = Array.from({ length: 1 + random.below(5) }, (_, i) => ({
        memberId: `m${i}`,
        topics: ['a', 'b', 'c'].filter(() => random.next() < 0.6),
      }));
      const owners = new Map<string, string>();
      for (const [memberId, partitions] of assign(members, counts)) {
        for (const { topic, partition } of partitions) {
          expect(owners.has(`${topic}-${partition}`)).toBe(false);
          owners.set(`${topic}-${partition}`, memberId);
          expect(members.find((member) => member.memberId === memberId)!.topics).toContain(topic);
        }
      }
      const expected = [...counts].filter(([topic]) => members.some(({ topics }) => topics.includes(topic)));
      expect(owners.size).toBe(expected.reduce((sum, [, count]) => sum + count, 0));
    }
  },
);

test('member data is encoded as in the consumer protocol of Kafka, and back', () => {
  const metadata = AssignerProtocol.MemberMetadata.encode({ version: 1, topics: ['t'] });
  expect([...metadata]).toEqual([0, 1, 0, 0, 0, 1, 0, 1, 116, 0, 0, 0, 0]);
  expect(AssignerProtocol.MemberMetadata.decode(metadata)).toEqual({
    version: 1,
    topics: ['t'],
    userData: new RecordBytes(new ArrayBuffer(0)),
  });
  const assignment = { 't-1': [0, 2], größe: [70_000] };
  const bytes = AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: new Uint8Array([7]) });
  expect(AssignerProtocol.MemberAssignment.decode(bytes)).toEqual({
    version: 1,
    assignment,
    userData: new RecordBytes(new Uint8Array([7]).buffer),
  });
  expect(() => AssignerProtocol.MemberAssignment.decode(bytes.subarray(0, 9))).toThrow('member data');
});
